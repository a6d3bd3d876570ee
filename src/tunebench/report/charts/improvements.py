"""Differences between two studies, each with its interval, around a line where nothing changed."""

from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.charts.base import GREY, Chart, Spec
from tunebench.report.stats.improvements import Improvement

_COLOURS = {"better": "#0072B2", "worse": "#D55E00", "neither": GREY}
_SHAPES = {"better": "triangle-right", "worse": "triangle-left", "neither": "circle"}


def improvements_chart(first: str, second: str, improvements: Sequence[Improvement]) -> Chart | None:
    """One line per technique, a view per metric; None where nothing was tested."""
    rows, views = [], {}
    for one in improvements:
        if one.difference is None or one.match.now.main is None or one.difference.interval is None:
            continue
        metric = one.match.now.main[0]
        low, high = one.difference.interval
        rows.append(
            {
                "row": f"{one.match.after.label} · {one.match.where}",
                "metric": metric,
                "difference": one.difference.value,
                "low": low,
                "high": high,
                "way": "neither" if not one.difference.significant else "better" if low > 0 else "worse",
                "verdict": one.verdict,
            }
        )
        views.setdefault(text.metric_title(metric), _view(metric))
    if not rows:
        return None
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
