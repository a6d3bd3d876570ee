"""The playground as a page of its own."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def page() -> str:
    """Its HTML; the script is at `/playground/playground.js`."""
    environment = Environment(
        loader=PackageLoader("tunebench.serve.playground"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render()
