"""Which differences between techniques are more than chance: paired tests on the same test examples.

Approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): if two techniques were the same, it would not matter
which of them gave which of the two answers to an example. In each of 10,000 trials the answers of a random half of the
examples change sides; p is the share of trials whose difference is at least as large. All pairs of a comparison see the
same trials, and so do all seeds of a pair: an example is one example however many seeds answered it. P-values are
corrected for the number of pairs by Holm (1979). Intervals of differences are paired bootstrap ones.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunebench.metrics import METRICS, Metric, resample_weights
from tunebench.report.comparisons import Comparison, Interval, Row
from tunebench.report.reading import Answers

TRIALS = 10_000
LEVEL = 0.05
_CHUNK = 500  # trials at once: 500 x 25,000 examples in float32 are 50 MB


@dataclass(frozen=True)
class Difference:
    """How much better the first of two techniques is in the main metric, over the seeds that both have.

    Attributes:
        value: in the metric's unit; positive: the first one is better, whichever direction that is.
        interval: its 95 % paired bootstrap interval over examples, or None where a resample leaves it undefined.
        p: two-sided, of one test.
        adjusted: corrected for all pairs of the comparison.
    """

    first: str
    second: str
    value: float
    interval: Interval | None
    p: float
    adjusted: float

    @property
    def real(self) -> bool:
        """Whether chance is a poor explanation."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Pairs:
    """All pairs of a comparison's techniques.

    Attributes:
        differences: best technique first, as the rows are ranked.
        groups: technique -> letters; two techniques that share a letter are not told apart.
        seeds: those that every tested technique has.
        left_out: technique -> why it was not tested.
    """

    differences: tuple[Difference, ...]
    groups: dict[str, str]
    seeds: tuple[int, ...]
    left_out: dict[str, str]

    def between(self, one: str, other: str) -> Difference | None:
        """The difference of two techniques, whichever stands first."""
        return next((d for d in self.differences if {d.first, d.second} == {one, other}), None)


def paired(comparison: Comparison, answers: Mapping[str, Answers | None]) -> Pairs | None:
    """All pairs of techniques; None where there are no two to be tested.

    Args:
        comparison: with its rows ranked by the main metric.
        answers: by run id.
    """
    if comparison.main is None or comparison.main[0] not in METRICS:
        return None
    metric = METRICS[comparison.main[0]]
    rows, left_out = _testable(comparison, metric)
    given: dict[str, dict[int, Answers]] = {}
    for row in rows:
        found = _of_row(row, answers)
        if found is None:
            left_out[row.label] = "its predictions cannot be read"
        else:
            given[row.label] = found
    if len(given) < 2:
        return None
    seeds = sorted(set.intersection(*(set(found) for found in given.values())))
    if not seeds:
        return None
    labels = list(given)
    statistics = _statistics(metric, [[given[label][seed] for seed in seeds] for label in labels])
    if statistics is None:
        return None
    differences = _differences(metric, labels, statistics)
    return Pairs(differences, letters(labels, differences), tuple(seeds), left_out)


def _testable(comparison: Comparison, metric: Metric) -> tuple[list[Row], dict[str, str]]:
    rows, left_out = [], {}
    for row in comparison.ranked:
        if not row.done:
            continue
        if comparison.main_score(row).mean is None:
            left_out[row.label] = "its main metric is undefined"
        elif metric.statistics is None:
            left_out[row.label] = f"{metric.title} is no sum over examples"
        else:
            rows.append(row)
    return rows, left_out


def _of_row(row: Row, answers: Mapping[str, Answers | None]) -> dict[int, Answers] | None:
    """By seed; None where a run's cannot be read."""
    found = {result.run.seed: answers.get(result.run.id) for result in row.done}
    known = {seed: given for seed, given in found.items() if given is not None}
    return known if len(known) == len(found) else None


def _statistics(metric: Metric, answers: Sequence[Sequence[Answers]]) -> np.ndarray | None:
    """(techniques, seeds, examples, k); None where techniques were not asked the same.

    All are counted in one call, so that classes and centres are the same for all.
    """
    assert metric.statistics is not None
    gold = answers[0][0][1]
    if any(references != gold for seeds in answers for _, references in seeds):
        return None
    flat = [prediction for seeds in answers for predictions, _ in seeds for prediction in predictions]
    counted = metric.statistics(flat, gold * (len(answers) * len(answers[0]))).astype(np.float32)
    return counted.reshape(len(answers), len(answers[0]), len(gold), -1)


def _differences(metric: Metric, labels: Sequence[str], statistics: np.ndarray) -> tuple[Difference, ...]:
    pairs = list(itertools.combinations(range(len(labels)), 2))
    sign = 1.0 if metric.higher_is_better else -1.0
    values = _values(metric, statistics.sum(axis=2, dtype=np.float64))
    observed = np.array([sign * (values[a] - values[b]) for a, b in pairs])
    swapped = _swapped(metric, statistics, pairs)
    resampled = _resampled(metric, statistics)
    # A difference that a trial leaves undefined counts as large: never smaller p than the trials allow.
    extreme = ~(np.abs(swapped) < np.abs(observed)[:, None] - 1e-12)
    ps = (extreme.sum(axis=1) + 1) / (TRIALS + 1)
    found = []
    for (a, b), value, p, adjusted in zip(pairs, observed, ps, holm(ps), strict=True):
        bounds = sign * (resampled[a] - resampled[b])
        low, high = (None, None) if np.isnan(bounds).any() else np.percentile(bounds, [2.5, 97.5])
        interval = None if low is None or high is None else (float(low), float(high))
        found.append(Difference(labels[a], labels[b], float(value), interval, float(p), float(adjusted)))
    return tuple(found)


def _values(metric: Metric, sums: np.ndarray) -> np.ndarray:
    """Sums (techniques, seeds, ..., k) -> values (techniques, ...), the mean over seeds."""
    return metric.combine(sums.reshape(-1, sums.shape[-1])).reshape(sums.shape[:-1]).mean(axis=1)


def _swapped(metric: Metric, statistics: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Differences with the answers of random halves of the examples exchanged, (pairs, trials)."""
    rng = np.random.default_rng(0)
    seeds, examples, k = statistics.shape[1:]
    totals = statistics.sum(axis=2, dtype=np.float64)
    apart = np.stack([statistics[a] - statistics[b] for a, b in pairs])  # (pairs, seeds, examples, k)
    flat = apart.transpose(2, 0, 1, 3).reshape(examples, -1)
    first, second = (list(side) for side in zip(*pairs, strict=True))
    found = np.empty((len(pairs), TRIALS))
    for start in range(0, TRIALS, _CHUNK):
        size = min(_CHUNK, TRIALS - start)
        sides = (rng.random((size, examples), dtype=np.float32) < 0.5).astype(np.float32)
        moved = (sides @ flat).astype(np.float64).reshape(size, len(pairs), seeds, k)
        one, other = (metric.combine(sums.reshape(-1, k)) for sums in (totals[first] - moved, totals[second] + moved))
        found[:, start : start + size] = (one - other).reshape(size, len(pairs), seeds).mean(axis=2).T
    return found


def _resampled(metric: Metric, statistics: np.ndarray) -> np.ndarray:
    """Values in resamples of the examples that all techniques share, (techniques, trials)."""
    rng = np.random.default_rng(0)
    techniques, seeds, examples, k = statistics.shape
    flat = statistics.transpose(2, 0, 1, 3).reshape(examples, -1)
    found = np.empty((techniques, TRIALS))
    for start in range(0, TRIALS, _CHUNK):
        size = min(_CHUNK, TRIALS - start)
        sums = (
            (resample_weights(rng, size, examples).astype(np.float32) @ flat)
            .astype(np.float64)
            .reshape(size, techniques, seeds, k)
        )
        found[:, start : start + size] = _values(metric, sums.transpose(1, 2, 0, 3))
    return found


def holm(ps: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for their number, step down (Holm 1979), in their order."""
    ps = np.asarray(ps, dtype=float)
    order = np.argsort(ps, kind="stable")
    stepped = np.maximum.accumulate(ps[order] * (len(ps) - np.arange(len(ps))))
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def letters(labels: Sequence[str], differences: Sequence[Difference]) -> dict[str, str]:
    """Letters, the same for techniques that are not told apart (Piepho 2004): best first, "a" the best group's."""
    groups = [set(labels)]
    for difference in differences:
        if not difference.real:
            continue
        split = []
        for group in groups:
            if {difference.first, difference.second} <= group:
                split += [group - {difference.first}, group - {difference.second}]
            else:
                split.append(group)
        groups = [g for n, g in enumerate(split) if not any(g < o or (g == o and m < n) for m, o in enumerate(split))]
    groups.sort(key=lambda group: sorted(labels.index(label) for label in group))
    names = "abcdefghijklmnopqrstuvwxyz"
    return {
        label: "".join(names[n % 26] * (n // 26 + 1) for n, group in enumerate(groups) if label in group)
        for label in labels
    }
