"""The playground as a page of its own."""

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunebench._util.palette import PALETTE


@functools.cache
def page() -> str:
    """Its HTML; the script is at `/playground/playground.js`."""
    environment = Environment(
        loader=PackageLoader("tunebench.serve.playground"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(palette=PALETTE)
