"""Learning curves: validation score and training loss by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunebench.records import Epoch
from tunebench.report import text
from tunebench.report.charts.base import (
    FIELD,
    PICK,
    SINGLED_OUT,
    ZOOM,
    Chart,
    Looks,
    Spec,
    color_of,
    dash_of,
    shape_of,
    where,
)
from tunebench.report.read.comparisons import Comparison


def curve_chart(comparison: Comparison, look: Looks) -> Chart | None:
    """The curves of a comparison's finished runs. A run without epochs is a dotted horizontal line."""
    assert comparison.main is not None
    name = comparison.main[0]
    rows = [
        row
        for one in comparison.listed
        for result in one.done
        for row in curve_rows(one.label, result.run.seed, result.history, name, result.best_epoch)
    ]
    levels = [
        {FIELD: row.label, "level": result.metrics.validation.get(name)}
        for row in comparison.listed
        for result in row.done[:1]
        if not result.history
    ]
    return curves(where(comparison), name, rows, levels, look)


def curve_rows(
    label: str, seed: int, history: Sequence[Epoch], metric: str, best_epoch: int | None
) -> list[dict[str, Any]]:
    """The data of one run's curve."""
    return [
        {
            FIELD: label,
            "run": f"{label}, seed {seed}",
            "epoch": epoch.epoch,
            "metric": epoch.validation.get(metric),
            "loss": epoch.train_loss,
            "best": epoch.epoch == best_epoch,
        }
        for epoch in history
    ]


def curves(
    place: str, metric: str, rows: list[dict[str, Any]], levels: Sequence[Mapping[str, Any]], look: Looks
) -> Chart | None:
    """One line per run, so that seeds are visible; a ring marks the best epoch, a gap an undefined value.

    Args:
        place: task and model, for the title.
        metric: by its name.
        rows: as `curve_rows` makes them.
        levels: technique and level of runs without epochs.
        look: of each technique.
    """
    measured = {"metric": f"validation {text.metric_title(metric)}", "loss": "training loss"}
    axes = {"metric": f"Validation {text.metric_axis(metric)}", "loss": "Training loss (mean of the epoch)"}
    shown = [field for field in measured if any(row[field] is not None for row in rows)]
    if not shown:
        return None
    known = [dict(level) for level in levels if level["level"] is not None]
    views = {
        measured[field]: _curve_view(field, axes[field], rows, known if field == "metric" else [], look)
        for field in shown
    }
    return Chart("curves", f"Learning curves: {place}", views, [*rows, *known])


def _curve_view(
    field: str, y: str, rows: Sequence[Mapping[str, Any]], levels: Sequence[Mapping[str, Any]], look: Looks
) -> Spec:
    labels = list(dict.fromkeys(row[FIELD] for row in [*rows, *levels]))
    color, dash, shape = color_of(labels, look), dash_of(labels, look), shape_of(labels, look)
    x = _axis(max(row["epoch"] for row in rows))
    height = {"field": field, "type": "quantitative", "title": y, "scale": {"zero": False}}
    tooltip = [
        {"field": "run", "title": "Run"},
        {"field": "epoch", "title": "Epoch"},
        {"field": field, "title": y, "format": ",.4f"},
    ]
    of_epochs = {"filter": "isValid(datum.epoch)"}
    base = {"x": x, "y": height, "color": color, "opacity": SINGLED_OUT}
    layers = [
        {
            "transform": [of_epochs],
            "mark": {"type": "line", "strokeWidth": 1.6},
            "encoding": {**base, "strokeDash": dash, "detail": {"field": "run", "type": "nominal"}},
        },
        {
            "transform": [of_epochs],
            "mark": {"type": "point", "filled": True, "size": 36},
            "encoding": {**base, "shape": shape, "tooltip": tooltip},
            "params": [PICK, ZOOM],
        },
    ]
    if any(row["best"] and row[field] is not None for row in rows):
        ring = {"type": "point", "filled": False, "size": 160, "color": "currentColor", "shape": "circle"}
        encoding = {"x": x, "y": height, "tooltip": tooltip}
        layers.append({"transform": [{"filter": "datum.best"}], "mark": ring, "encoding": encoding})
    if levels:
        encoding = {
            "y": {**height, "field": "level"},
            "color": color,
            "opacity": SINGLED_OUT,
            "tooltip": [{"field": FIELD, "title": "Technique"}, {"field": "level", "title": y, "format": ",.4f"}],
        }
        layers.append(
            {
                "transform": [{"filter": "isValid(datum.level)"}],
                "mark": {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 2},
                "encoding": encoding,
            }
        )
    return {"layer": layers}


def _axis(last: int) -> dict[str, Any]:
    """Epochs 1 to `last`, at most ten of them with a label."""
    return {
        "field": "epoch",
        "type": "quantitative",
        "title": "Epoch (passes over the training data)",
        "scale": {"zero": False, "nice": False, "padding": 8},
        "axis": {"format": "d", "values": list(range(1, last + 1, -(-last // 10)))},
    }
