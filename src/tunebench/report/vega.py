"""Vega-Lite's drawing: specifications become SVG here, and its JavaScript goes into the page (docs/decisions/0012).

vl-convert holds Vega and a JavaScript engine: no browser, no network. It is loaded when the first chart is drawn.
"""

import functools
import re
from importlib import resources
from typing import Any

from markupsafe import Markup, escape

from tunebench.report.chart import Chart, Spec

_LITE = "6.4"
_WIDTH, _HEIGHT, _PANEL = 440, 250, 150
_GREY = "#888888"
_CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor", "titleColor": "currentColor", "gridColor": _GREY, "gridOpacity": 0.25,
        "domainColor": _GREY, "tickColor": _GREY, "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "titleLimit": 320,
    },
    "legend": {"labelColor": "currentColor", "orient": "bottom", "columns": 2, "labelFontSize": 12, "labelLimit": 190,
               "symbolSize": 80, "symbolOpacity": 1},
    "aria": True,
}  # fmt: skip
_ID = re.compile(r'id="([^"]*)"')


def complete(view: Spec) -> Spec:
    """A chart's view with its size and looks; its data follows."""
    sized = {"width": _WIDTH, "height": _HEIGHT}
    if "facet" in view:
        sized = {"spec": {**view["spec"], "width": _PANEL, "height": _PANEL}}
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": _CONFIG, **view, **sized}


def svg(chart: Chart, name: str) -> str:
    """A chart's first view as an SVG file's content. `name` begins its ids, which must not repeat in a page."""
    import vl_convert

    spec = {**complete(next(iter(chart.views.values()))), "data": {"values": chart.rows}}
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=_LITE)
    # Vega counts its ids on from chart to chart: counted anew, the same chart has the same bytes.
    for number, old in enumerate(dict.fromkeys(_ID.findall(drawn))):
        drawn = drawn.replace(f'id="{old}"', f'id="{name}-{number}"').replace(f"url(#{old})", f"url(#{name}-{number})")
    return drawn


def on_white(drawn: str) -> str:
    """An SVG as a file: on white, for its ink is black there, whatever page it is put into."""
    return drawn.replace("<svg ", '<svg style="background: white; color: black" ', 1) + "\n"


def inline(drawn: str, title: str) -> Markup:
    """An SVG as part of a page, named for screen readers, which need not read its every mark."""
    opening = f'<svg role="img" aria-label="{escape(title)}" '
    return Markup(drawn.replace("<svg ", opening, 1))


def data(chart: Chart) -> dict[str, Any]:
    """What the page's script needs to draw a chart."""
    return {"views": {name: complete(view) for name, view in chart.views.items()}, "rows": chart.rows}


@functools.cache
def javascript() -> str:
    """Vega-Embed with Vega and Vega-Lite as one script, the function `vegaEmbed` its only global name.

    No text of it can end a script element, which is checked: the page takes it in as it is.
    """
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_LITE)
    assert "</script" not in bundle.lower() and "<!--" not in bundle
    return bundle


def licence() -> str:
    """The licences of that script, which stay with it."""
    return resources.files("tunebench.report").joinpath("templates/licences.txt").read_text("utf-8")
