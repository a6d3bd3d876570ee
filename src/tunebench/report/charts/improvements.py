"""Differences between two studies, each with its interval, around a line where nothing changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunebench.report import text
from tunebench.report.charts.base import GREY, Chart, Spec

_COLOURS = {"better": "#0072B2", "worse": "#D55E00", "neither": GREY}
_SHAPES = {"better": "triangle-right", "worse": "triangle-left", "neither": "circle"}


@dataclass(frozen=True)
class Shift:
    """How far a technique moved in a metric: positive is better."""

    row: str
    metric: str
    difference: float
    low: float
    high: float
    significant: bool
    verdict: str


def improvements_chart(first: str, second: str, shifts: Sequence[Shift]) -> Chart | None:
    """One line per technique, a view per metric; None where nothing was tested."""
    if not shifts:
        return None
    rows = [
        {
            "row": one.row,
            "metric": one.metric,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "way": "neither" if not one.significant else "better" if one.difference > 0 else "worse",
            "verdict": one.verdict,
        }
        for one in shifts
    ]
    views = {text.metric_title(metric): _view(metric) for metric in dict.fromkeys(one.metric for one in shifts)}
    title = f"From {first} to {second}: difference in the main metric, with 95 % intervals"
    note = "Right of the line: better. A triangle: significant. A disc: not significant."
    return Chart("improvements", title, views, rows, note, choice="Metric")


def _view(metric: str) -> Spec:
    y = {"field": "row", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 260}}
    axis = f"Difference in {text.metric_axis(metric)}, positive: better"
    ends = list(_COLOURS)
    colour = {"field": "way", "type": "nominal", "scale": {"domain": ends, "range": [*_COLOURS.values()]}}
    shape = {"field": "way", "type": "nominal", "scale": {"domain": ends, "range": [*_SHAPES.values()]}}
    marked = {"color": {**colour, "legend": None}, "y": y}
    return {
        "transform": [{"filter": {"field": "metric", "equal": metric}}],
        "layer": [
            {"mark": {"type": "rule", "color": "currentColor", "strokeDash": [4, 3]}, "encoding": {"x": {"datum": 0}}},
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    **marked,
                    "x": {"field": "low", "type": "quantitative", "title": axis},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {
                    **marked,
                    "x": {"field": "difference", "type": "quantitative", "title": axis},
                    "shape": {**shape, "legend": None},
                    "tooltip": [
                        {"field": "row", "title": "Technique"},
                        {"field": "difference", "title": "Difference", "format": "+,.4f"},
                        {"field": "low", "title": "From", "format": "+,.4f"},
                        {"field": "high", "title": "To", "format": "+,.4f"},
                        {"field": "verdict", "title": "Verdict"},
                    ],
                },
            },
        ],
    }
