"""What every chart shares, the report's and a backbone card's: colours, fonts, and the same bytes each time."""

import re
from typing import Any

_GREY = "#888888"
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "gridColor": _GREY,
        "gridOpacity": 0.25,
        "domainColor": _GREY,
        "tickColor": _GREY,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titleLimit": 320,
    },
    "legend": {
        "labelColor": "currentColor",
        "orient": "bottom",
        "columns": 2,
        "labelFontSize": 12,
        "labelLimit": 190,
        "symbolSize": 80,
        "symbolOpacity": 1,
    },
    "aria": True,
}
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_ID = re.compile(r'id="([^"]*)"')
_NAMED = re.compile(r'(id="|url\(#)([^")]*)')


def with_ids(drawn: str, name: str) -> str:
    """An SVG whose ids begin with `name` and count from 0: Vega counts on from chart to chart."""
    ids = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(_ID.findall(drawn)))}
    return _NAMED.sub(lambda match: f"{match[1]}{ids.get(match[2], match[2])}", drawn)


def on_white(drawn: str) -> str:
    """An SVG as a file: on white, because its ink is black there, whatever page shows it."""
    return drawn.replace("<svg ", '<svg style="background: white; color: black" ', 1) + "\n"
