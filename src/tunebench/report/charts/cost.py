"""Quality against each cost, with intervals, seeds, baselines as lines, and the recommended technique marked."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunebench._util.visible import escaped_within
from tunebench.report import text
from tunebench.report.charts.base import (
    FIELD,
    GREY,
    PICK,
    SINGLED_OUT,
    Chart,
    Looks,
    Spec,
    color_of,
    shape_of,
    where,
)
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.read.costs import PRICES, TEXT, Price, fronts

_SHORT = "datum.value < 1 ? format(datum.value, '.3~g') : format(datum.value, '~s')"  # 0.1, 20k, 5M
_FIRST = "tuning"
_LETTER, _GAP, _HIGH, _RISE = 0.019, 0.04, 0.06, 0.03
"""Shares of a chart's width that a letter of a name and a point take, and of its height that a name takes, and that it
stands above a line."""
Rows = Sequence[Mapping[str, Any]]


def cost_chart(
    comparison: Comparison, look: Looks, chosen: str | None = None, expected: Mapping[str, Interval] | None = None
) -> Chart | None:
    """One point per technique with its interval and its seeds; None for a single technique.

    The untuned model and techniques without a backbone are lines, too, and so is a technique at no cost or below,
    which a log axis cannot show.

    Args:
        comparison: one model on one task.
        look: of each technique.
        chosen: the label of the recommended technique, which is marked.
        expected: intervals over seeds and test examples, by label, where they are known.
    """
    assert comparison.main is not None
    name, _, split = comparison.main
    unbeaten = fronts(comparison)
    rows: list[dict[str, Any]] = []
    for row in comparison.ranked:
        score = comparison.main_score(row)
        if score.mean is None:
            continue
        bounds = (expected or {}).get(row.label) or score.interval
        low, high = bounds or (None, None)
        rows.append(
            {
                FIELD: row.label,
                "title": row.title,
                "chosen": row.label == chosen,
                "line": row.baseline or row.without_backbone,
                "value": score.mean,
                "low": low,
                "high": high,
                "interval": text.interval(bounds) if bounds else "none",
                "seeds": list(score.values) if len(score.values) > 1 else [],
                **_prices(comparison, row, unbeaten[row.label]),
            }
        )
    y = f"{split.capitalize()} {text.metric_axis(name)}"
    prices = [price for price in PRICES if any((row[price.name] or 0) > 0 for row in rows)]
    prices.sort(key=lambda price: price.name != _FIRST)
    title = f"{text.metric_title(name)} against cost: {where(comparison)}"
    views = {price.title.lower(): _CostView(price, prices, y, rows, look).spec() for price in prices}
    return Chart("cost", title, views, rows, choice="Against") if views and len(rows) > 1 else None


def _prices(comparison: Comparison, row: Row, unbeaten: Sequence[str]) -> dict[str, Any]:
    """By price: its number, its text, and whether the technique is on its Pareto front."""
    fields: dict[str, Any] = {}
    for price in PRICES:
        cost = price.of(comparison, row)
        fields[price.name] = cost
        if cost is not None:
            fields[f"{price.name}, text"] = TEXT[price.unit](cost)
        if price.name in unbeaten:
            fields[f"{price.name}, front"] = True
    return fields


class _CostView:
    """The layers of one cost. A layer is added only if it has marks: without any, Vega warns of an infinite scale."""

    def __init__(self, price: Price, prices: Sequence[Price], y: str, rows: Rows, look: Looks):
        self.cost, self.rows = price.name, rows
        labels = [row[FIELD] for row in rows if row[price.name] is not None]
        self.named, self.below = _named(rows, price.name)
        self.legend = len(self.named) + sum(row["line"] for row in rows) < len(labels)
        names, titles = _listed([row[FIELD] for row in rows]), _listed([row["title"] for row in rows])
        legend = {"legend": {"labelExpr": f"{titles}[indexof({names}, datum.label)]"} if self.legend else None}
        self.color, self.shape = color_of(labels, look) | legend, shape_of(labels, look) | legend
        self.x = _axis(price, rows)
        self.height = {"type": "quantitative", "title": y, "scale": {"zero": False}}
        self.value = {"y": {"field": "value", **self.height}}
        self.costly = {"filter": f"datum['{price.name}'] > 0"}
        self.line = f"isValid(datum['{price.name}']) && (datum.line || datum['{price.name}'] <= 0)"
        self.lines = {"filter": self.line}
        opacity = {"opacity": SINGLED_OUT} if self.legend else {}
        self.shown = {"color": self.color, **opacity, "tooltip": _tooltip(y, prices)}

    def spec(self) -> Spec:
        """The whole view."""
        points = any((row[self.cost] or 0) > 0 for row in self.rows)
        return {"layer": [*self._lines(), *(self._points() if points else [])]}

    def _lines(self) -> list[Spec]:
        """Techniques that are a level to reach rather than a point."""
        if not self._lines_named():
            return []
        rule = {"type": "rule", "strokeDash": [5, 3], "strokeWidth": 1.5}
        layers: list[Spec] = [{"transform": [self.lines], "mark": rule, "encoding": {**self.value, **self.shown}}]
        beside = self._at_left()
        places = ((beside, self.x, 13), (self._lines_named() - beside, {"value": 0}, 3))
        for (named, at, dx), dy in itertools.product(places, (-7, 10)):
            labels = named & self.below if dy > 0 else named - self.below
            if labels:
                only = {"filter": f"indexof({_listed(sorted(labels))}, datum.{FIELD}) >= 0"}
                text_of = {"text": {"field": "name", "type": "nominal"}, "size": _SIZE}
                name = {**_NAME, "align": "left", "dx": dx, "dy": dy}
                layers.append(
                    {"transform": [only, _STARRED], "mark": name, "encoding": {**self.value, "x": at, **text_of}}
                )
        return layers

    def _lines_named(self) -> set[str]:
        """The labels of lines."""
        return {row[FIELD] for row in self.rows if row[self.cost] is not None and (row["line"] or row[self.cost] <= 0)}

    def _at_left(self) -> set[str]:
        """Those whose points lie where the name of a line begins, so that it begins beside them."""
        right = _right(self.rows, self.cost)
        return {label for label in self._lines_named() if label not in right} & {
            row[FIELD] for row in self.rows if (row[self.cost] or 0) > 0
        }

    def _points(self) -> list[Spec]:
        """The front, intervals, seeds, points, the ring of the recommended one, and names."""
        costly, x, rows = self.costly, {"x": self.x}, self.rows
        layers: list[Spec] = []
        if sum(f"{self.cost}, front" in row and row[self.cost] > 0 for row in rows) > 1:
            line = {"type": "line", "interpolate": "step-after", "strokeWidth": 1, "color": GREY, "aria": False}
            front = [costly, {"filter": f"datum['{self.cost}, front']"}]
            along = {**x, **self.value, "order": {"field": self.cost}}
            layers.append({"transform": front, "mark": line, "encoding": along})
        if any(row["low"] is not None and (row[self.cost] or 0) > 0 for row in rows):
            ends = {"y": {"field": "low", **self.height}, "y2": {"field": "high"}, "color": self.color}
            bar = {"type": "rule", "strokeWidth": 1.5, "aria": False}
            layers.append({"transform": [costly], "mark": bar, "encoding": {**x, **ends}})
        if any(row["seeds"] and (row[self.cost] or 0) > 0 for row in rows):
            dot = {"type": "point", "filled": False, "size": 18, "opacity": 0.7, "aria": False}
            each = {**x, "y": {"field": "seeds", **self.height}, "color": self.color}
            layers.append({"transform": [costly, {"flatten": ["seeds"]}], "mark": dot, "encoding": each})
        only = {"condition": {"test": "datum.chosen", "value": 300}, "value": 0}
        ring = {"type": "point", "filled": False, "stroke": "currentColor", "strokeWidth": 2, "aria": False}
        return [
            *layers,
            {
                "transform": [costly],
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": {**x, **self.value, **self.shown, "shape": self.shape},
                **({"params": [PICK]} if self.legend else {}),
            },
            {"transform": [costly], "mark": ring, "encoding": {**x, **self.value, "size": only}},
            *self._names(),
        ]

    def _names(self) -> list[Spec]:
        """Beside each point, towards the middle, above a front that goes on to the right."""
        points = [row for row in self.rows if (row[self.cost] or 0) > 0 and not row["line"]]
        right = _right(self.rows, self.cost)
        only = f"datum.chosen || indexof({_listed(self.named)}, datum.{FIELD}) >= 0"
        layers = []
        for side, mark in ((True, {"align": "right", "dx": -9}), (False, {"align": "left", "dx": 9, "dy": -7})):
            labels = [row[FIELD] for row in points if (row[FIELD] in right) is side]
            if labels:
                beside = {"filter": f"indexof({_listed(labels)}, datum.{FIELD}) >= 0"}
                at = {"x": self.x, **self.value, "text": _if(only), "size": _SIZE}
                layers.append({"transform": [beside, _STARRED], "mark": {**_NAME, **mark}, "encoding": at})
        return layers


_NAME: Spec = {"type": "text", "limit": 170, "aria": False, "color": "currentColor"}
_SIZE: Spec = {"condition": {"test": "datum.chosen", "value": 14}, "value": 11}
_STARRED: Spec = {"calculate": "(datum.chosen ? '★ ' : '') + datum.title", "as": "name"}


def _if(test: str) -> Spec:
    return {"condition": {"test": test, "field": "name", "type": "nominal"}, "value": ""}


def _listed(texts: Sequence[str]) -> str:
    """As an array of Vega's expressions, escaped as the chart's data is."""
    return json.dumps(escaped_within(list(texts)))


def _right(rows: Rows, cost: str) -> set[str]:
    """The techniques in the right half of the axis."""
    xs = {row[FIELD]: math.log10(row[cost]) for row in rows if (row[cost] or 0) > 0}
    return {label for label, x in xs.items() if x > (min(xs.values()) + max(xs.values())) / 2}


def _named(rows: Rows, cost: str) -> tuple[list[str], set[str]]:
    """The techniques whose names have room beside their points, and the lines whose names stand below them.

    The name of the recommended technique comes first, then those of lines, then those of better techniques.
    """
    values = [end for row in rows for end in (row["low"], row["value"], row["high"]) if end is not None]
    whole = (max(values) - min(values)) or 1.0
    spans, right = _spans(rows, cost), _right(rows, cost)
    marks = [(row[FIELD], _mark(rows, cost, row[FIELD]), row["value"]) for row in rows if (row[cost] or 0) > 0]
    taken: list[tuple[Interval, float]] = []

    def free(label: str, span: Interval, y: float) -> bool:
        return not any(abs(y - at) < _HIGH * whole and _overlap(span, other) for other, at in taken) and not any(
            label != other and abs(y - at) < 0.6 * _HIGH * whole and _overlap(span, mark, 0.0)
            for other, mark, at in marks
        )

    named, below = [], set()
    for row in sorted(rows, key=lambda row: (not row["chosen"], not row["line"])):
        label = row[FIELD]
        if label not in spans:
            continue
        y = row["value"] + (0.0 if label in right and not row["line"] else _RISE * whole)
        if row["line"] and not free(label, spans[label], y):
            below.add(label)
            y = row["value"] - 1.4 * _RISE * whole
        elif not row["line"] and not (row["chosen"] or free(label, spans[label], y)):
            continue
        taken.append((spans[label], y))
        named += [] if row["line"] else [label]
    return named, below


def _mark(rows: Rows, cost: str, label: str) -> Interval:
    """From where to where a point reaches."""
    at = _xs(rows, cost)[label]
    return at - 0.02, at + 0.02


def _xs(rows: Rows, cost: str) -> dict[str, float]:
    """Where points lie, in shares of the width; the axis begins and ends a little beyond them."""
    xs = {row[FIELD]: math.log10(row[cost]) for row in rows if (row[cost] or 0) > 0}
    least = min(xs.values(), default=0.0)
    wide = (max(xs.values(), default=0.0) - least) or 1.0
    return {label: 0.05 + 0.9 * (x - least) / wide for label, x in xs.items()}


def _spans(rows: Rows, cost: str) -> dict[str, Interval]:
    """From where to where a name reaches, in shares of the width; that of a line begins beside its point, or at 0."""
    xs, right = _xs(rows, cost), _right(rows, cost)
    spans = {}
    for row in rows:
        label = row[FIELD]
        if row[cost] is None or (label not in xs and not row["line"]):
            continue
        letters = 1.3 * (len(row["title"]) + 2) if row["chosen"] else len(row["title"])  # larger, with a star
        wide, at = _LETTER * letters + _GAP, xs.get(label, 0.0)
        if row["line"]:
            start = at if label in xs and label not in right else 0.0
            spans[label] = (start, start + wide)
        else:
            spans[label] = (at - wide, at) if label in right else (at, at + wide)
    return spans


def _overlap(one: Interval, other: Interval, gap: float = 0.01) -> bool:
    return one[0] <= other[1] + gap and other[0] <= one[1] + gap


def _axis(price: Price, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "field": price.name,
        "type": "quantitative",
        "title": f"{price.title} ({price.unit}, log scale)",
        "scale": {"type": "log", "nice": False, "padding": 14},
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
