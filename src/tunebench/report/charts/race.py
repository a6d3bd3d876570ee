"""A race of a technique's trials: validation score by epoch, with the end of each."""

from collections.abc import Sequence
from typing import Any

from tunebench.records import SearchedTechnique, Trial
from tunebench.report import text
from tunebench.report.charts.base import GREY, Chart, Looks, Spec, where
from tunebench.report.read.comparisons import Comparison

_ENDS = {"dropped": "cross", "out of time": "triangle-right", "finished": "circle"}
"""Status -> shape of the mark at a curve's end: the meaning does not depend on colours."""


def race_charts(comparison: Comparison, searched: Sequence[SearchedTechnique], look: Looks) -> tuple[Chart | None, ...]:
    """One chart with a view per technique; none where no trial has two epochs or was dropped."""
    shown = [one for one in searched if one.label in look and any((trial.epochs or 0) > 1 for trial in one.trials)]
    if not shown:
        return ()
    rows = [row for one in shown for trial in one.trials if trial.same_as is None for row in _rows(one, trial)]
    views = {one.label: _view(one, look[one.label][0]) for one in shown}
    title = f"Races of the trials: {where(comparison)}"
    note = "A cross: dropped there. A triangle: out of time. A disc: finished. Thick: the chosen trial."
    return (Chart("race", title, views, rows, note, choice="Technique"),)


def _rows(one: SearchedTechnique, trial: Trial) -> list[dict[str, Any]]:
    curve = trial.curve
    return [
        {
            "technique": one.label,
            "trial": str(trial.number),
            "epoch": epoch,
            "score": score,
            "chosen": trial.settings == one.chosen,
            "end": trial.status if epoch == len(curve) else None,
            "settings": ", ".join(f"{name} {_short(value)}" for name, value in trial.settings.items()),
            "why": trial.reason or "",
        }
        for epoch, score in enumerate(curve, 1)
    ]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _view(one: SearchedTechnique, color: str) -> Spec:
    last = max(len(trial.curve) for trial in one.trials)
    x = {
        "field": "epoch",
        "type": "quantitative",
        "title": "Epoch (passes over the training data)",
        "scale": {"zero": False, "nice": False, "padding": 8},
        "axis": {"format": "d", "values": list(range(1, last + 1, -(-last // 10)))},
    }
    axis = text.metric_axis(one.metric)
    y = {"field": "score", "type": "quantitative", "title": f"Validation {axis}", "scale": {"zero": False}}
    colored = {"condition": {"test": "datum.chosen", "value": color}, "value": GREY}
    tooltip = [
        {"field": "trial", "title": "Trial"},
        {"field": "settings", "title": "Settings"},
        {"field": "epoch", "title": "Epoch"},
        {"field": "score", "title": axis, "format": ",.4f"},
        {"field": "end", "title": "End"},
        {"field": "why", "title": "Why"},
    ]
    of_one = {"filter": {"field": "technique", "equal": one.label}}
    width = {"condition": {"test": "datum.chosen", "value": 3}, "value": 1.2}
    shape = {
        "field": "end",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(_ENDS), "range": list(_ENDS.values())},
    }
    detail = {"field": "trial", "type": "nominal"}
    lines = {
        "transform": [of_one],
        "mark": {"type": "line"},
        "encoding": {"x": x, "y": y, "color": colored, "strokeWidth": width, "detail": detail},
    }
    ends = {
        "transform": [of_one, {"filter": "isValid(datum.end)"}],
        "mark": {"type": "point", "size": 90, "filled": True},
        "encoding": {"x": x, "y": y, "color": colored, "shape": shape, "tooltip": tooltip},
    }
    return {"layer": [lines, ends]}
