"""Predicted scores against references, for regression tasks."""

from collections.abc import Mapping

from tunebench.evaluation.metrics import METRICS
from tunebench.report.charts.base import FIELD, Chart, Looks, color_of, shape_of, where
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.predictions import Answers

_POINTS = 200  # per technique: enough to see the shape


def scatter_chart(comparison: Comparison, look: Looks, answers: Mapping[str, Answers | None]) -> Chart | None:
    """Predicted against true scores of the first completed seed, one panel per technique; None for other tasks."""
    assert comparison.main is not None
    if comparison.main[0] not in METRICS or METRICS[comparison.main[0]].unit != "correlation":
        return None
    rows, labels, left_out = [], [], False
    for row in comparison.ranked:
        given = next((known for result in row.done if (known := answers.get(result.run.id))), None)
        pairs = [] if given is None else list(zip(*given, strict=True))
        if not pairs:
            continue
        labels.append(row.label)
        step = -(-len(pairs) // _POINTS)
        left_out |= step > 1
        rows += [
            {FIELD: row.label, "example": number, "predicted": predicted, "true": true}
            for number, (predicted, true) in enumerate(pairs)
            if number % step == 0
        ]
    if not rows:
        return None
    encoding = {
        "x": {"field": "true", "type": "quantitative", "title": "Reference", "scale": {"zero": False}},
        "y": {"field": "predicted", "type": "quantitative", "title": "Predicted", "scale": {"zero": False}},
        "color": {**color_of(labels, look), "legend": None},
        "shape": {**shape_of(labels, look), "legend": None},
        "tooltip": [{"field": name} for name in (FIELD, "example", "true", "predicted")],
    }
    view = {
        "facet": {
            "field": FIELD,
            "type": "nominal",
            "title": None,
            "sort": labels,
            "header": {"labelColor": "currentColor", "labelLimit": 180, "labelFontSize": 12},
        },
        "columns": 3,
        "spec": {
            "mark": {"type": "point", "filled": True, "size": 14, "opacity": 0.6, "aria": False},
            "encoding": encoding,
        },
    }
    note = f"Evenly spaced test examples, at most {_POINTS} per technique." if left_out else ""
    return Chart("scatter", f"Predicted and true scores: {where(comparison)}", {"scores": view}, rows, note)
