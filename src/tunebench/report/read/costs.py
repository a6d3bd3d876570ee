"""Costs of techniques, and their Pareto fronts against quality (docs/statistics.md)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from tunebench.records import Cost, Done
from tunebench.report import text
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.timing import Clock

TARGET = 0.95
"""Share of the best technique's validation score that counts as reached."""
NOISE = 0.05
"""Relative difference between two memories or energies that means nothing, and between two times at least."""
TEXT: Mapping[str, Callable[[Any], str]] = {
    "count": text.count,
    "seconds": text.latency,
    "bytes": text.megabytes,
    "money": text.price,
    "kWh": text.watt_hours,
    "nats per token": text.change,
    "share of the variance": text.change,
}
"""Unit of a cost -> how it is written."""


@dataclass(frozen=True)
class Price:
    """One kind of cost.

    Attributes:
        name: one word, for a list.
        title: for an axis.
        unit: what it is counted in; `TEXT` writes it.
        of: a row's cost over its seeds; None if it was not measured, or the target was not reached.
        noise: the relative difference up to which two costs of a comparison count as equal.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Comparison, Row], float | None]
    noise: Callable[[Comparison], float] = lambda comparison: 0.0


@dataclass(frozen=True)
class OnRequest:
    """A cost that only a study's `price_per_hour` or `measure` asks for.

    Attributes:
        name: one word, for a list.
        title: of a column, and of an axis.
        unit: what it is counted in; `TEXT` writes it.
        of: that of one run; None if it was not measured.
        noise: as of a `Price`.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Comparison, Cost], float | None]
    noise: Callable[[Comparison], float] = lambda comparison: 0.0

    def mean(self, comparison: Comparison, row: Row) -> float | None:
        """Over a technique's seeds; None unless all have it."""
        known = [value for result in row.done if (value := self.of(comparison, result.cost)) is not None]
        return fmean(known) if known and len(known) == len(row.done) else None

    @property
    def price(self) -> Price:
        """As one kind of cost."""
        return Price(self.name, self.title, self.unit, self.mean, self.noise)


def time_noise(comparison: Comparison) -> float:
    """The relative difference up to which two times count as equal: the spread that was measured, 5 % at least.

    Measured is the median over techniques of their spread: over the rounds of re-timed steps, or over the seconds per
    step of their seeds.
    """
    spreads = []
    for row in comparison.rows:
        retimed = row.timing.retimed
        if row.timing.clock is Clock.RETIMED and retimed:
            spreads.append(retimed.spread)
            continue
        paces = [row.timing.tuning(r) / r.cost.steps for r in row.done if r.cost.steps and r.cost.train_seconds]
        if len(paces) > 1:
            spreads.append((max(paces) - min(paces)) / fmean(paces))
    return max(NOISE, median(spreads)) if spreads else NOISE


def front(comparison: Comparison, price: Price) -> list[Row]:
    """The Pareto front of the main metric's mean against a cost, cheapest first.

    A technique is not on it if another one is at least as good in both and better in one; costs that differ by no more
    than the price's noise count as equal. Significance is ignored.
    """
    if comparison.main is None:
        return []
    sign, noise = (1 if comparison.main[1] else -1), price.noise(comparison)
    known = [
        (cost, sign * mean, row)
        for row in comparison.ranked
        if (mean := comparison.rank_score(row)) is not None and (cost := price.of(comparison, row)) is not None
    ]
    known.sort(key=lambda point: (point[0], -point[1]))

    def beaten(cost: float, value: float) -> bool:
        better = any(score > value and other <= cost * (1 + noise) for other, score, _ in known)
        return better or any(score >= value and other * (1 + noise) < cost for other, score, _ in known)

    return [row for cost, value, row in known if not beaten(cost, value)]


def fronts(comparison: Comparison) -> dict[str, list[str]]:
    """Label -> names of the costs on whose Pareto front the technique lies."""
    costs: dict[str, list[str]] = {row.label: [] for row in comparison.rows}
    for price in PRICES:
        for row in front(comparison, price):
            costs[row.label].append(price.name)
    return costs


def target(comparison: Comparison) -> float | None:
    """The validation score to reach: 95 % of the best technique's; of perplexity the lowest divided by 0.95.

    None if no technique has a score, or the best is not above zero.
    """
    if comparison.main is None:
        return None
    higher = comparison.main[1]
    means = [mean for row in comparison.rows if (mean := validation_mean(comparison, row)) is not None]
    best = (max if higher else min)(means, default=0.0)
    if best <= 0:
        return None
    return best * TARGET if higher else best / TARGET


def seconds_to_target(comparison: Comparison, results: Sequence[Done]) -> list[float | None]:
    """Per result: wall-clock seconds of trunk, training and validation up to the first epoch that reaches the target.

    A technique without epochs reaches it, if at all, in the seconds of its fitting. None if it is never reached.
    """
    wanted = target(comparison)
    if wanted is None or comparison.main is None:
        return [None] * len(results)
    name, higher, _ = comparison.main

    def enough(score: float | None) -> bool:
        return score is not None and (score >= wanted if higher else score <= wanted)

    return [_seconds(result, name, enough) for result in results]


def validation_mean(comparison: Comparison, row: Row) -> float | None:
    """Mean over seeds of the best epochs' validation scores; None if a seed has none."""
    assert comparison.main is not None
    return row.validation(comparison.main[0])


def _seconds(result: Done, name: str, enough: Callable[[float | None], bool]) -> float | None:
    spent = result.cost.trunk_seconds + (result.cost.validation_trunk_seconds or 0.0)
    if not result.history:
        return spent + result.cost.train_seconds if enough(result.metrics.validation.get(name)) else None
    for epoch in result.history:
        spent += epoch.seconds
        if enough(epoch.validation.get(name)):
            return spent
    return None


def _to_target(comparison: Comparison, row: Row) -> float | None:
    """By the comparison's clock, as far as that of tuning goes."""
    reached = [
        spent * _pace(row, result)
        for spent, result in zip(seconds_to_target(comparison, row.done), row.done, strict=True)
        if spent is not None
    ]
    return fmean(reached) if reached and len(reached) == len(row.done) else None


def _pace(row: Row, result: Done) -> float:
    """Seconds of the comparison's clock per wall-clock second of tuning."""
    measured = result.cost.trunk_seconds + result.cost.train_seconds
    return row.timing.tuning(result) / measured if measured else 1.0


def money(cost: Cost, per_hour: float) -> float:
    """What tuning costs on a machine of this price: the wall-clock hours of trunk and training."""
    return (cost.trunk_seconds + cost.train_seconds) / 3600 * per_hour


def _money(comparison: Comparison, cost: Cost) -> float | None:
    return None if comparison.price_per_hour is None else money(cost, comparison.price_per_hour)


def latencies(results: Sequence[Done], merged: bool) -> float | None:
    """Mean seconds per answer, as trained or merged; None if a run has none."""
    of = [r.cost.merged_latency_seconds if merged else r.cost.latency_seconds for r in results]
    known = [seconds for seconds in of if seconds is not None]
    return fmean(known) if known and len(known) == len(of) else None


def _latency(comparison: Comparison, row: Row) -> float | None:
    """As in deployment: merged if possible."""
    merged = latencies(row.done, merged=True)
    return latencies(row.done, merged=False) if merged is None else merged


def _most(of: Callable[[Cost], int | None]) -> Callable[[Comparison, Row], float | None]:
    def largest(comparison: Comparison, row: Row) -> float | None:
        return max((size for result in row.done if (size := of(result.cost)) is not None), default=None)

    return largest


TIME = Price("tuning", "Tuning time", "seconds", lambda comparison, row: row.train_seconds, time_noise)
ON_REQUEST = (
    OnRequest("price", "Price", "money", lambda comparison, cost: _money(comparison, cost), time_noise),
    OnRequest("energy", "Energy", "kWh", lambda comparison, cost: cost.energy_kwh, lambda comparison: NOISE),
    OnRequest("forgetting", "Forgetting", "nats per token", lambda comparison, cost: cost.forgetting_nats),
    OnRequest("drift", "Feature drift", "share of the variance", lambda comparison, cost: cost.feature_drift),
)
PRICES = (
    Price("parameters", "Trainable parameters", "count",
          lambda comparison, row: row.parameters.trainable if row.parameters else None),
    TIME,
    Price("target", f"Time to {100 * TARGET:g} % of the best", "seconds", _to_target, time_noise),
    Price("memory", "Peak memory", "bytes", _most(lambda cost: cost.peak_memory_bytes), lambda comparison: NOISE),
    Price("GPU memory", "Peak GPU memory", "bytes", _most(lambda cost: cost.peak_gpu_memory_bytes)),
    Price("saved", "Saved", "bytes", _most(lambda cost: cost.saved_bytes)),
    Price("latency", "Latency per answer", "seconds", _latency, time_noise),
    *(one.price for one in ON_REQUEST),
)  # fmt: skip
_NAMED = {price.name: price for price in PRICES}
SPARED = {
    "training time": TIME,
    "trainable parameters": _NAMED["parameters"],
    "memory": _NAMED["memory"],
    "saved bytes": _NAMED["saved"],
    "latency": _NAMED["latency"],
    "forgetting": _NAMED["forgetting"],
}
"""What a reader may want to save, in words: the first unless he says otherwise."""
