"""The trials behind the paired tests: all pairs of a comparison's techniques at once.

A trial needs the sums over the examples that change sides, which for the pair (a, b) are those of a minus those of b:
one matrix product serves all pairs. Counts are multiplied in float32, where they are exact, all else in float64.

The product uses one thread, so that the number of cores changes no bit; and beside runs that keep all cores busy,
several threads took up to thirty times as long.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from tunebench.evaluation.metrics import Metric
from tunebench.report.stats import draws

_EXACT = 2**24  # whole numbers up to it are exact in float32


class TrialOutcome(NamedTuple):
    """The tests of the pairs (0, 1), (0, 2), ..., (1, 2), ... of techniques.

    Attributes:
        differences: the first's value minus the second's, (pairs,).
        ps: two-sided p-values, (pairs,).
        intervals: 95 % intervals of the differences, (pairs, 2); NaN if a resample leaves the metric undefined.
    """

    differences: np.ndarray
    ps: np.ndarray
    intervals: np.ndarray


def outcome(metric: Metric, statistics: np.ndarray, trials: int) -> TrialOutcome:
    """Test all pairs of techniques.

    Args:
        metric: one with `combine`.
        statistics: additive statistics, (techniques, seeds, examples, k).
        trials: number of exchanges of a random half of the answers, and of resamples of the examples.
    """
    totals = statistics.sum(axis=2)[..., None]
    values = _values(metric, totals)[:, 0]
    first, second = np.array(list(itertools.combinations(range(len(statistics)), 2))).T
    observed = values[first] - values[second]
    product = _Product(statistics)
    with _threads().limit(limits=1, user_api="blas"):
        ps = _chances(metric, totals, product, observed, trials)
        return TrialOutcome(observed, ps, _intervals(metric, product, trials))


_threads = functools.cache(ThreadpoolController)


def _chances(metric: Metric, totals: np.ndarray, product: "_Product", observed: np.ndarray, trials: int) -> np.ndarray:
    """The share of exchanges, the observed one counted, whose difference is at least as large, (pairs,)."""
    smaller = np.zeros(len(observed), dtype=int)
    for sides in draws.sides(product.examples, trials):
        moved = product.sums(sides)
        kept = totals - moved
        differences = []
        for one in range(len(totals) - 1):
            others = slice(one + 1, None)
            changed = _values(metric, kept[one] + moved[others]) - _values(metric, kept[others] + moved[one])
            differences.append(np.abs(changed))
        # An undefined difference counts as large, so that p is never smaller than the trials allow.
        smaller += (np.concatenate(differences) < np.abs(observed)[:, None] - 1e-12).sum(axis=1)
    return (trials - smaller + 1) / (trials + 1)


def _intervals(metric: Metric, product: "_Product", trials: int) -> np.ndarray:
    """Percentiles 2.5 and 97.5 of the differences over resamples that all techniques share, (pairs, 2)."""
    drawn = draws.weights(product.examples, trials)
    values = np.concatenate([_values(metric, product.sums(weights)) for weights in drawn], axis=1)
    ends = [np.percentile(values[one] - values[one + 1 :], [2.5, 97.5], axis=1).T for one in range(len(values) - 1)]
    return np.concatenate(ends)


def _values(metric: Metric, sums: np.ndarray) -> np.ndarray:
    """Sums (techniques, seeds, k, trials) -> values (techniques, trials), the mean over seeds."""
    return metric.combine(np.moveaxis(sums, 2, -1)).mean(axis=1)


class _Product:
    """Sums over examples of all techniques' statistics; columns that are equal are multiplied once.

    Counts are multiplied one statistic at a time over the examples where it is not zero: few examples have a true
    positive of a class. What is no count is multiplied at once, because its last digits depend on the order of sums.
    """

    def __init__(self, statistics: np.ndarray):
        techniques, seeds, self.examples, k = statistics.shape
        self._shape = (techniques, seeds, k, -1)
        rows = np.ascontiguousarray(statistics.transpose(0, 1, 3, 2)).reshape(-1, self.examples)
        whole = bool((rows == np.rint(rows)).all()) and float(np.abs(rows).sum(axis=1).max()) < _EXACT
        rows = rows.astype(np.float32 if whole else np.float64)
        known: dict[bytes, int] = {}
        self._place = [known.setdefault(row.tobytes(), len(known)) for row in rows]
        chosen = np.array([self._place.index(number) for number in range(len(known))])
        groups = [np.flatnonzero(chosen % k == n) for n in range(k)] if whole else [np.arange(len(chosen))]
        self._parts = [_Share(group, rows[chosen[group]], whole) for group in groups if len(group)]
        self._type = rows.dtype

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """(techniques, seeds, k, trials) of weights (trials, examples)."""
        turned = np.ascontiguousarray(weights.T, dtype=self._type)
        products = np.empty((1 + max(self._place), len(weights)))
        for part in self._parts:
            products[part.place] = part.rows @ turned[part.examples]
        return products[self._place].reshape(self._shape)


class _Share:
    """Rows that are multiplied together, and the examples in which any of them is not zero."""

    def __init__(self, place: np.ndarray, rows: np.ndarray, fewer: bool):
        self.place = place
        self.examples = np.flatnonzero(rows.any(axis=0)) if fewer else slice(None)
        self.rows = np.ascontiguousarray(rows[:, self.examples])
