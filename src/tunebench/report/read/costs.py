"""Costs of techniques, and their Pareto fronts against quality (docs/statistics.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tunebench.records import Cost, Done
from tunebench.report.read.comparisons import Comparison, Row

TARGET = 0.95
"""Share of the best technique's validation score that counts as reached."""


@dataclass(frozen=True)
class Price:
    """One kind of cost.

    Attributes:
        name: one word, for a list.
        title: for an axis.
        unit: count, seconds or bytes.
        of: a row's cost over its seeds; None if it was not measured, or the target was not reached.
    """

    name: str
    title: str
    unit: str
    of: Callable[[Comparison, Row], float | None]


def front(comparison: Comparison, price: Price) -> list[Row]:
    """The Pareto front of the main metric's mean against a cost, cheapest first.

    A technique is not on it if another one is at least as good in both and better in one. Significance is ignored.
    """
    if comparison.main is None:
        return []
    sign = 1 if comparison.main[1] else -1
    known = [
        (cost, -sign * mean, row)
        for row in comparison.ranked
        if (mean := comparison.main_score(row).mean) is not None and (cost := price.of(comparison, row)) is not None
    ]
    known.sort(key=lambda point: point[:2])
    best: list[tuple[float, float, Row]] = []
    for point in known:
        if not best or point[1] < best[-1][1] or point[:2] == best[-1][:2]:
            best.append(point)
    return [row for _, _, row in best]


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
    """Per result: seconds of trunk, training and validation up to the first epoch that reaches the target.

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
    scores = [_best(result, comparison.main[0]) for result in row.done]
    known = [score for score in scores if score is not None]
    return fmean(known) if known and len(known) == len(scores) else None


def _best(result: Done, name: str) -> float | None:
    """The best epoch's score, or the only one of a run without epochs."""
    if result.best_epoch is not None and len(result.history) >= result.best_epoch:
        return result.history[result.best_epoch - 1].validation.get(name)
    return result.metrics.validation.get(name)


def _seconds(result: Done, name: str, enough: Callable[[float | None], bool]) -> float | None:
    spent = result.cost.trunk_seconds
    if not result.history:
        return spent + result.cost.train_seconds if enough(result.metrics.validation.get(name)) else None
    for epoch in result.history:
        spent += epoch.seconds
        if enough(epoch.validation.get(name)):
            return spent
    return None


def _to_target(comparison: Comparison, row: Row) -> float | None:
    reached = [spent for spent in seconds_to_target(comparison, row.done) if spent is not None]
    return fmean(reached) if reached and len(reached) == len(row.done) else None


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


PRICES = (
    Price("parameters", "Trainable parameters", "count",
          lambda comparison, row: row.parameters.trainable if row.parameters else None),
    Price("tuning", "Tuning time", "seconds", lambda comparison, row: row.train_seconds),
    Price("target", f"Time to {100 * TARGET:g} % of the best", "seconds", _to_target),
    Price("memory", "Peak memory", "bytes", _most(lambda cost: cost.peak_memory_bytes)),
    Price("GPU memory", "Peak GPU memory", "bytes", _most(lambda cost: cost.peak_gpu_memory_bytes)),
    Price("saved", "Saved", "bytes", _most(lambda cost: cost.saved_bytes)),
    Price("latency", "Latency per answer", "seconds", _latency),
)  # fmt: skip
