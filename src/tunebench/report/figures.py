"""Charts as Vega-Lite: quality against each cost, learning curves, scores against references.

One specification becomes the interactive chart in the page and the picture for print, papers and browsers without
scripts. Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; shapes and dashes say the same
again. Black becomes the page's own text colour, so that a chart can be read on a dark page and on paper.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebench.metrics import METRICS
from tunebench.report import text
from tunebench.report.comparisons import Comparison, Row
from tunebench.report.costs import PRICES, Price, fronts
from tunebench.report.reading import Answers

_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "currentColor")
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])
_GREY = "#888888"
_POINTS = 200  # of a technique's scatter: enough to see its shape
_FIELD = "technique"

Spec = dict[str, Any]
Looks = Mapping[str, tuple[str, str, Sequence[int]]]  # by label: colour, shape, dash


@dataclass(frozen=True)
class Chart:
    """One figure in one or several views (against another cost, say); the first one is also drawn for print.

    Attributes:
        name: short, for file names.
        title: what a screen reader says.
        views: by their names, Vega-Lite without size, data, and the looks that all charts share.
        rows: the data of all views.
        note: what was left out.
    """

    name: str
    title: str
    views: dict[str, Spec]
    rows: list[dict[str, Any]]
    note: str = ""


def looks(labels: Sequence[str]) -> Looks:
    """A look for each technique, the same in every chart of a report."""
    return {
        label: (
            _PALETTE[index % len(_PALETTE)],
            _SHAPES[index % len(_SHAPES)],
            _DASHES[index // len(_PALETTE) % len(_DASHES)],
        )
        for index, label in enumerate(dict.fromkeys(labels))
    }


def charts(comparison: Comparison, look: Looks, answers: Mapping[str, Answers | None]) -> list[Chart]:
    """The charts of one comparison; none for what was not measured. `answers` by run id."""
    if comparison.main is None:
        return []
    found = (_costs(comparison, look), _curves(comparison, look), _scatter(comparison, look, answers))
    return [chart for chart in found if chart is not None]


# Quality against cost -------------------------------------------------------------------------------------------------

_SAID: Mapping[str, Callable[[Any], str]] = {
    "count": text.count, "seconds": text.latency, "bytes": text.megabytes,
}  # fmt: skip
_FIRST = "tuning"


def _costs(comparison: Comparison, look: Looks) -> Chart | None:
    """One point a technique with its interval; what costs nothing has no place on a log axis and becomes a line."""
    assert comparison.main is not None
    name, _, split = comparison.main
    unbeaten = fronts(comparison)
    rows: list[dict[str, Any]] = []
    for row in comparison.ranked:
        score = comparison.main_score(row)
        if score.mean is None:
            continue
        low, high = score.interval or (None, None)
        interval = text.interval(score.interval) if score.interval else "none"
        rows.append({_FIELD: row.label, "value": score.mean, "low": low, "high": high, "interval": interval,
                     **_prices(comparison, row, unbeaten[row.label])})  # fmt: skip
    y = f"{split.capitalize()} {text.metric_axis(name)}"
    prices = [price for price in PRICES if any((row[price.name] or 0) > 0 for row in rows)]
    prices.sort(key=lambda price: price.name != _FIRST)
    title = f"{text.metric_title(name)} against cost: {_where(comparison)}"
    views = {price.title.lower(): _cost_view(price, prices, y, rows, look) for price in prices}
    return Chart("cost", title, views, rows) if views else None


def _prices(comparison: Comparison, row: Row, unbeaten: Sequence[str]) -> dict[str, Any]:
    """By price: its number, how it is said, and whether the technique is on its Pareto front."""
    found: dict[str, Any] = {}
    for price in PRICES:
        cost = price.of(comparison, row)
        found[price.name] = cost
        if cost is not None:
            found[f"{price.name}, said"] = _SAID[price.unit](cost)
        if price.name in unbeaten:
            found[f"{price.name}, front"] = True
    return found


def _cost_view(price: Price, prices: Sequence[Price], y: str, rows: Sequence[Mapping[str, Any]], look: Looks) -> Spec:
    cost = price.name
    labels = [row[_FIELD] for row in rows if row[cost] is not None]
    color, shape = _color(labels, look), _shape(labels, look)
    x = {
        "field": cost, "type": "quantitative", "title": f"{price.title} ({price.unit}, log scale)",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"labelExpr": _SHORT, "labelOverlap": True, "values": _ticks([row[cost] or 0 for row in rows])},
    }  # fmt: skip
    height = {"type": "quantitative", "title": y, "scale": {"zero": False}}
    tooltip = [
        {"field": _FIELD, "title": "Technique"}, {"field": "value", "title": y, "format": ",.4f"},
        {"field": "interval", "title": "Interval"},
        *({"field": f"{other.name}, said", "title": other.title} for other in prices),
    ]  # fmt: skip
    costly = {"filter": f"datum['{cost}'] > 0"}
    shown = {"color": color, "opacity": _SINGLED_OUT, "tooltip": tooltip}
    value = {"y": {"field": "value", **height}}
    # Each layer only where it has marks: without any, Vega complains of a scale that has no ends.
    layers: list[Spec] = []
    if sum(f"{cost}, front" in row and row[cost] > 0 for row in rows) > 1:
        layers.append({
            "transform": [costly, {"filter": f"datum['{cost}, front']"}],
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1, "color": _GREY, "aria": False},
            "encoding": {"x": x, **value, "order": {"field": cost}},
        })  # fmt: skip
    if any(row["low"] is not None and (row[cost] or 0) > 0 for row in rows):
        layers.append({
            "transform": [costly], "mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
            "encoding": {"x": x, "y": {"field": "low", **height}, "y2": {"field": "high"}, "color": color},
        })  # fmt: skip
    layers.append({
        "transform": [costly], "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {"x": x, **value, **shown, "shape": shape}, "params": [_PICK, _ZOOM],
    })  # fmt: skip
    if any(row[cost] is not None and row[cost] <= 0 for row in rows):
        layers.append({
            "transform": [{"filter": f"datum['{cost}'] === 0"}],
            "mark": {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 2}, "encoding": {**value, **shown},
        })  # fmt: skip
    return {"layer": layers}


def _ticks(values: Sequence[float]) -> list[float]:
    """Powers of ten on a log axis; where values span two decades at most their double and fivefold too."""
    known = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    steps = (1, 2, 5) if max(known) <= 100 * min(known) else (1,)
    return [step * 10.0**power for power in range(low, high + 1) for step in steps]


# Learning curves ------------------------------------------------------------------------------------------------------


def _curves(comparison: Comparison, look: Looks) -> Chart | None:
    """One line a run, so that seeds stay seen; a ring marks the best epoch, a gap an undefined value.

    A run without epochs is a dotted level.
    """
    assert comparison.main is not None
    name = comparison.main[0]
    rows = [
        {
            _FIELD: row.label, "run": f"{row.label}, seed {result.run.seed}", "epoch": epoch.epoch,
            "metric": epoch.validation.get(name), "loss": epoch.train_loss, "best": epoch.epoch == result.best_epoch,
        }
        for row in comparison.ranked for result in row.done for epoch in result.history
    ]  # fmt: skip
    measured = {"metric": f"validation {text.metric_title(name)}", "loss": "training loss"}
    axes = {"metric": f"Validation {text.metric_axis(name)}", "loss": "Training loss (mean of the epoch)"}
    shown = [field for field in measured if any(row[field] is not None for row in rows)]
    if not shown:
        return None
    levels = [
        {_FIELD: row.label, "level": result.metrics.validation.get(name)}
        for row in comparison.ranked for result in row.done[:1] if not result.history
    ]  # fmt: skip
    levels = [level for level in levels if level["level"] is not None]
    views = {
        measured[field]: _curve_view(field, axes[field], rows, levels if field == "metric" else [], look)
        for field in shown
    }
    return Chart("curves", f"Learning curves: {_where(comparison)}", views, [*rows, *levels])


def _curve_view(
    field: str, y: str, rows: Sequence[Mapping[str, Any]], levels: Sequence[Mapping[str, Any]], look: Looks
) -> Spec:
    labels = list(dict.fromkeys(row[_FIELD] for row in [*rows, *levels]))
    color, dash, shape = _color(labels, look), _dash(labels, look), _shape(labels, look)
    last = max(row["epoch"] for row in rows)
    x = {
        "field": "epoch", "type": "quantitative", "title": "Epoch (passes over the training data)",
        "scale": {"zero": False, "nice": False, "padding": 8},
        "axis": {"format": "d", "values": list(range(1, last + 1, -(-last // 10)))},
    }  # fmt: skip
    height = {"field": field, "type": "quantitative", "title": y, "scale": {"zero": False}}
    tooltip = [{"field": "run", "title": "Run"}, {"field": "epoch", "title": "Epoch"},
               {"field": field, "title": y, "format": ",.4f"}]  # fmt: skip
    of_epochs = {"filter": "isValid(datum.epoch)"}
    base = {"x": x, "y": height, "color": color, "opacity": _SINGLED_OUT}
    layers = [
        {
            "transform": [of_epochs], "mark": {"type": "line", "strokeWidth": 1.6},
            "encoding": {**base, "strokeDash": dash, "detail": {"field": "run", "type": "nominal"}},
        },
        {
            "transform": [of_epochs], "mark": {"type": "point", "filled": True, "size": 36},
            "encoding": {**base, "shape": shape, "tooltip": tooltip}, "params": [_PICK, _ZOOM],
        },
    ]  # fmt: skip
    if any(row["best"] and row[field] is not None for row in rows):
        ring = {"type": "point", "filled": False, "size": 160, "color": "currentColor", "shape": "circle"}
        encoding = {"x": x, "y": height, "tooltip": tooltip}
        layers.append({"transform": [{"filter": "datum.best"}], "mark": ring, "encoding": encoding})
    if levels:
        encoding = {"y": {**height, "field": "level"}, "color": color, "opacity": _SINGLED_OUT,
                    "tooltip": [{"field": _FIELD, "title": "Technique"}, {"field": "level", "title": y,
                                "format": ",.4f"}]}  # fmt: skip
        layers.append({
            "transform": [{"filter": "isValid(datum.level)"}],
            "mark": {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 2}, "encoding": encoding,
        })  # fmt: skip
    return {"layer": layers}


# Scores against references --------------------------------------------------------------------------------------------


def _scatter(comparison: Comparison, look: Looks, answers: Mapping[str, Answers | None]) -> Chart | None:
    """Predicted against true scores of the first seed that ended, a panel a technique; nothing where no scores are."""
    assert comparison.main is not None
    if comparison.main[0] not in METRICS or METRICS[comparison.main[0]].unit != "correlation":
        return None
    rows, labels, left_out = [], [], False
    for row in comparison.ranked:
        given = next((found for result in row.done if (found := answers.get(result.run.id))), None)
        pairs = [] if given is None else list(zip(*given, strict=True))
        if not pairs:
            continue
        labels.append(row.label)
        step = -(-len(pairs) // _POINTS)
        left_out |= step > 1
        rows += [{_FIELD: row.label, "example": number, "predicted": predicted, "true": true}
                 for number, (predicted, true) in enumerate(pairs) if number % step == 0]  # fmt: skip
    if not rows:
        return None
    encoding = {
        "x": {"field": "true", "type": "quantitative", "title": "Reference", "scale": {"zero": False}},
        "y": {"field": "predicted", "type": "quantitative", "title": "Predicted", "scale": {"zero": False}},
        "color": {**_color(labels, look), "legend": None},
        "shape": {**_shape(labels, look), "legend": None},
        "tooltip": [{"field": name} for name in (_FIELD, "example", "true", "predicted")],
    }
    view = {
        "facet": {"field": _FIELD, "type": "nominal", "title": None, "sort": labels,
                  "header": {"labelColor": "currentColor", "labelLimit": 180, "labelFontSize": 12}},
        "columns": 3,
        "spec": {"mark": {"type": "point", "filled": True, "size": 14, "opacity": 0.6, "aria": False},
                 "encoding": encoding},
    }  # fmt: skip
    note = f"Every n-th test example, so that at most {_POINTS} are shown." if left_out else ""
    return Chart("scatter", f"Predicted and true scores: {_where(comparison)}", {"scores": view}, rows, note)


# What they share ------------------------------------------------------------------------------------------------------

_PICK: Spec = {"name": "pick", "select": {"type": "point", "fields": [_FIELD]}, "bind": "legend"}
_ZOOM: Spec = {
    "name": "zoom",
    "select": {  # with Shift, so that a page is still scrolled over a chart
        "type": "interval", "zoom": "wheel![event.shiftKey]",
        "translate": "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    },
    "bind": "scales",
}  # fmt: skip
_SHORT = "datum.value < 1 ? format(datum.value, '.3~g') : format(datum.value, '~s')"  # 0.1, 20k, 5M
_SINGLED_OUT: Spec = {"condition": {"param": "pick", "value": 1}, "value": 0.15}


def _color(labels: Sequence[str], look: Looks) -> Spec:
    return _scaled(labels, [look[label][0] for label in labels])


def _shape(labels: Sequence[str], look: Looks) -> Spec:
    return _scaled(labels, [look[label][1] for label in labels])


def _dash(labels: Sequence[str], look: Looks) -> Spec:
    return _scaled(labels, [list(look[label][2]) for label in labels])


def _scaled(labels: Sequence[str], values: list[Any]) -> Spec:
    return {"field": _FIELD, "type": "nominal", "title": None, "scale": {"domain": list(labels), "range": values}}


def _where(comparison: Comparison) -> str:
    return f"{comparison.task} with {comparison.model}"
