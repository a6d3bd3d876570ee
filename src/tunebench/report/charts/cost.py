"""Quality against each cost, with intervals and the Pareto front."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunebench.report import text
from tunebench.report.charts.base import (
    FIELD,
    GREY,
    PICK,
    SINGLED_OUT,
    ZOOM,
    Chart,
    Looks,
    Spec,
    color_of,
    shape_of,
    where,
)
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.costs import PRICES, Price, fronts

_SHORT = "datum.value < 1 ? format(datum.value, '.3~g') : format(datum.value, '~s')"  # 0.1, 20k, 5M
_TEXT: Mapping[str, Callable[[Any], str]] = {"count": text.count, "seconds": text.latency, "bytes": text.megabytes}
_FIRST = "tuning"


def cost_chart(comparison: Comparison, look: Looks) -> Chart | None:
    """One point per technique with its interval; a technique at no cost, which a log axis cannot show, is a line."""
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
        rows.append(
            {
                FIELD: row.label,
                "value": score.mean,
                "low": low,
                "high": high,
                "interval": interval,
                **_prices(comparison, row, unbeaten[row.label]),
            }
        )
    y = f"{split.capitalize()} {text.metric_axis(name)}"
    prices = [price for price in PRICES if any((row[price.name] or 0) > 0 for row in rows)]
    prices.sort(key=lambda price: price.name != _FIRST)
    title = f"{text.metric_title(name)} against cost: {where(comparison)}"
    views = {price.title.lower(): _cost_view(price, prices, y, rows, look) for price in prices}
    return Chart("cost", title, views, rows, choice="Against") if views else None


def _prices(comparison: Comparison, row: Row, unbeaten: Sequence[str]) -> dict[str, Any]:
    """By price: its number, its text, and whether the technique is on its Pareto front."""
    fields: dict[str, Any] = {}
    for price in PRICES:
        cost = price.of(comparison, row)
        fields[price.name] = cost
        if cost is not None:
            fields[f"{price.name}, text"] = _TEXT[price.unit](cost)
        if price.name in unbeaten:
            fields[f"{price.name}, front"] = True
    return fields


def _cost_view(price: Price, prices: Sequence[Price], y: str, rows: Sequence[Mapping[str, Any]], look: Looks) -> Spec:
    cost = price.name
    labels = [row[FIELD] for row in rows if row[cost] is not None]
    color, shape = color_of(labels, look), shape_of(labels, look)
    x = _axis(price, rows)
    height = {"type": "quantitative", "title": y, "scale": {"zero": False}}
    costly = {"filter": f"datum['{cost}'] > 0"}
    shown = {"color": color, "opacity": SINGLED_OUT, "tooltip": _tooltip(y, prices)}
    value = {"y": {"field": "value", **height}}
    # A layer is added only if it has marks: without any, Vega warns of an infinite scale.
    layers: list[Spec] = []
    if sum(f"{cost}, front" in row and row[cost] > 0 for row in rows) > 1:
        layers.append(
            {
                "transform": [costly, {"filter": f"datum['{cost}, front']"}],
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1, "color": GREY, "aria": False},
                "encoding": {"x": x, **value, "order": {"field": cost}},
            }
        )
    if any(row["low"] is not None and (row[cost] or 0) > 0 for row in rows):
        layers.append(
            {
                "transform": [costly],
                "mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
                "encoding": {"x": x, "y": {"field": "low", **height}, "y2": {"field": "high"}, "color": color},
            }
        )
    layers.append(
        {
            "transform": [costly],
            "mark": {"type": "point", "filled": True, "size": 80},
            "encoding": {"x": x, **value, **shown, "shape": shape},
            "params": [PICK, ZOOM],
        }
    )
    if any(row[cost] is not None and row[cost] <= 0 for row in rows):
        layers.append(
            {
                "transform": [{"filter": f"datum['{cost}'] === 0"}],
                "mark": {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 2},
                "encoding": {**value, **shown},
            }
        )
    return {"layer": layers}


def _axis(price: Price, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "field": price.name,
        "type": "quantitative",
        "title": f"{price.title} ({price.unit}, log scale)",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"labelExpr": _SHORT, "labelOverlap": True, "values": _ticks([row[price.name] or 0 for row in rows])},
    }


def _tooltip(y: str, prices: Sequence[Price]) -> list[dict[str, str]]:
    """A technique's score and all its costs."""
    return [
        {"field": FIELD, "title": "Technique"},
        {"field": "value", "title": y, "format": ",.4f"},
        {"field": "interval", "title": "Interval"},
        *({"field": f"{price.name}, text", "title": price.title} for price in prices),
    ]


def _ticks(values: Sequence[float]) -> list[float]:
    """Powers of ten on a log axis; if values span at most two decades, also their multiples by 2 and 5."""
    known = [value for value in values if value > 0]
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    steps = (1, 2, 5) if max(known) <= 100 * min(known) else (1,)
    return [step * 10.0**power for power in range(low, high + 1) for step in steps]
