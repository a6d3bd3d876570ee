"""Vega-Lite's drawing: specifications become SVG here, and its JavaScript goes into the page (docs/decisions/0012).

vl-convert holds Vega and a JavaScript engine: no browser, no network. It draws in a process of its own, which is
started with the first chart.
"""

import functools
from importlib import resources
from typing import Any

from markupsafe import Markup, escape

from tunebench._util import chart_style, drawing
from tunebench.report.charts.base import Chart, Spec

_WIDTH, _HEIGHT, _PANEL = 440, 250, 150
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def complete(view: Spec) -> Spec:
    """A chart's view with its size and looks; its data follows."""
    sized = {"width": _WIDTH, "height": _HEIGHT}
    if "facet" in view:
        sized = {"spec": {**view["spec"], "width": _PANEL, "height": _PANEL}}
    return {"$schema": chart_style.SCHEMA, "config": chart_style.CONFIG, **view, **sized}


class Drawn:
    """A chart's first view as an SVG file's content, which is being drawn from now on.

    Args:
        chart: what to draw.
        name: begins the ids in the SVG, which must not repeat in a page.
    """

    def __init__(self, chart: Chart, name: str):
        self._name = name
        begin()
        self._svg = drawing.svg({**complete(next(iter(chart.views.values()))), "data": {"values": chart.rows}})

    @functools.cached_property
    def svg(self) -> str:
        """The content, as soon as it is there."""
        return chart_style.with_ids(self._svg.result(), self._name)


def begin() -> None:
    """Have the page's script made, which takes longest: before the charts, which come one by one."""
    drawing.javascript(_SNIPPET)


def inline(drawn: str, title: str) -> Markup:
    """An SVG as part of a page, named for screen readers, which need not read its every mark."""
    opening = f'<svg role="img" aria-label="{escape(title)}" '
    return Markup(drawn.replace("<svg ", opening, 1))


def data(chart: Chart) -> dict[str, Any]:
    """What the page's script needs to draw a chart."""
    return {"views": {name: complete(view) for name, view in chart.views.items()}, "rows": chart.rows}


def javascript() -> str:
    """Vega-Embed with Vega and Vega-Lite as one script, the function `vegaEmbed` its only global name.

    No text of it can end a script element, which is checked: the page takes it in as it is.
    """
    bundle = drawing.javascript(_SNIPPET).result()
    assert "</script" not in bundle.lower() and "<!--" not in bundle
    return bundle


def licence() -> str:
    """The licences of that script, which stay with it."""
    return resources.files("tunebench.report").joinpath("templates/licences.txt").read_text("utf-8")
