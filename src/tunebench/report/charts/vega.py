"""Vega-Lite's drawing: specifications become SVG here, and its JavaScript goes into the page (docs/decisions/0012).

vl-convert holds Vega and a JavaScript engine: no browser, no network. It draws in a process of its own, which is
started with the first chart.
"""

import functools
from importlib import resources
from typing import Any

from markupsafe import Markup, escape

from tunebench._util import chart_style, drawing
from tunebench._util.visible import escaped, escaped_within
from tunebench.report.charts.base import Chart, Spec

_WIDTH, _HEIGHT, _PANEL = 440, 250, 150
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def complete(view: Spec) -> Spec:
    """A chart's view with size and configuration, without data."""
    sized = {"width": _WIDTH, "height": _HEIGHT}
    if "facet" in view:
        sized = {"spec": {**view["spec"], "width": _PANEL, "height": _PANEL}}
    return {"$schema": chart_style.SCHEMA, "config": chart_style.CONFIG, **view, **sized}


class Drawn:
    """A chart's first view as an SVG file's content, drawn in the background from now on.

    Args:
        chart: what to draw.
        name: prefix of the ids in the SVG, which must be unique in a page.
    """

    def __init__(self, chart: Chart, name: str):
        self._name = name
        begin()
        whole = {**complete(next(iter(chart.views.values()))), "data": {"values": chart.rows}}
        self._svg = drawing.svg(escaped_within(whole))

    @functools.cached_property
    def svg(self) -> str | None:
        """The content; waits until it is drawn. None where the process that draws has died."""
        svg = drawing.drawn(self._svg)
        return svg and chart_style.with_ids(svg, self._name)


def begin() -> None:
    """Start bundling the page's script, which takes longest, before the charts are drawn one by one."""
    drawing.javascript(_SNIPPET)


def inline(drawn: str, title: str) -> Markup:
    """An SVG as part of a page, with one label for screen readers instead of one per mark."""
    opening = f'<svg role="img" aria-label="{escape(title)}" '
    return Markup(drawn.replace("<svg ", opening, 1))


def data(chart: Chart) -> dict[str, Any]:
    """What the page's script needs to draw a chart."""
    views = {escaped(name): complete(view) for name, view in chart.views.items()}
    return escaped_within({"views": views, "rows": chart.rows})


def javascript() -> str | None:
    """Vega-Embed with Vega and Vega-Lite as one script, the function `vegaEmbed` its only global name.

    None where the process that makes it has died. It is checked to contain nothing that closes a script element, since
    the page includes it verbatim.
    """
    bundle = drawing.drawn(drawing.javascript(_SNIPPET))
    assert bundle is None or ("</script" not in bundle.lower() and "<!--" not in bundle)
    return bundle


def licence() -> str:
    """The licences of that script, which must accompany it."""
    return resources.files("tunebench.report").joinpath("templates/licences.txt").read_text("utf-8")
