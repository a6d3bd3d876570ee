"""The trials behind the paired tests: all asked pairs of a comparison's techniques at once.

A trial needs the sums over the examples that change sides, which for the pair (a, b) are those of a minus those of b:
one matrix product serves all pairs. Counts are multiplied in float32, where they are exact, all else in float64.

The product uses one thread, so that the number of cores changes no bit; and beside runs that keep all cores busy,
several threads took up to thirty times as long.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from tunebench.evaluation.metrics import Metric
from tunebench.evaluation.variances import Variances
from tunebench.report.stats import draws

_EXACT = 2**24  # whole numbers up to it are exact in float32
TAIL = 3.178
"""No sum of numbers with random signs exceeds x more than `TAIL` times as often as a normal value of its variance.

Bentkus and Dzindzalieta (2015); of metrics that are no sums it is an approximation.
"""

TechniquePairs = Sequence[tuple[int, int]]


class TrialOutcome(NamedTuple):
    """The tests of pairs of techniques.

    Attributes:
        differences: the first's value minus the second's, (pairs,).
        ps: two-sided p-values of the exchange of answers, (pairs,).
        errors: standard errors of the differences, (pairs,); NaN if leaving out an example leaves a score undefined.
        freedom: their degrees of freedom, (pairs,).
        means: each technique's mean score, (techniques,).
        mean_errors: its standard error, (techniques,).
        mean_freedom: its degrees of freedom, (techniques,).
    """

    differences: np.ndarray
    ps: np.ndarray
    errors: np.ndarray
    freedom: np.ndarray
    means: np.ndarray
    mean_errors: np.ndarray
    mean_freedom: np.ndarray


def outcome(metric: Metric, statistics: np.ndarray, pairs: TechniquePairs, trials: int) -> TrialOutcome:
    """Test pairs of techniques.

    Args:
        metric: one with `combine`.
        statistics: additive statistics, (techniques, seeds, examples, k).
        pairs: their numbers.
        trials: number of exchanges of a random half of the answers.
    """
    with _threads().limit(limits=1, user_api="blas"), np.errstate(divide="ignore", invalid="ignore"):
        variances = Variances(metric, statistics)
        means = variances.scores.mean(axis=1)
        first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
        observed = means[first] - means[second]
        ps = _chances(metric, statistics, pairs, observed, trials) if len(observed) else observed
        return TrialOutcome(observed, ps, *variances.of_differences(first, second), means, *variances.of_means())


_threads = functools.cache(ThreadpoolController)


def _chances(
    metric: Metric, statistics: np.ndarray, pairs: TechniquePairs, observed: np.ndarray, trials: int
) -> np.ndarray:
    """The share of exchanges, the observed one counted, whose difference is at least as large, (pairs,).

    So many trials cannot show a very small p; there the tail of a normal distribution with their variance bounds it.
    """
    totals, product = statistics.sum(axis=2)[..., None], _Product(statistics)
    smaller, squares = np.zeros(len(observed), dtype=int), np.zeros(len(observed))
    for sides in draws.sides(product.examples, trials):
        moved = product.sums(sides)
        kept = totals - moved
        for at, others in _by_first(pairs).items():
            one, places = pairs[at][0], np.arange(at, at + len(others))
            changed = _values(metric, kept[one] + moved[others]) - _values(metric, kept[others] + moved[one])
            # An undefined difference counts as large, so that p is never smaller than the trials allow.
            smaller[places] += (np.abs(changed) < np.abs(observed[places])[:, None] - 1e-12).sum(axis=1)
            squares[places] += np.square(changed).sum(axis=1)
    shown = (trials - smaller + 1) / (trials + 1)
    bound = TAIL * 2 * ndtr(-np.abs(observed) / np.sqrt(squares / trials))
    return np.fmin(shown, np.where(observed == 0, 1.0, bound))


def _by_first(pairs: TechniquePairs) -> dict[int, list[int]]:
    """Runs of pairs with one first technique: where each begins, and its second techniques."""
    runs: dict[int, list[int]] = {}
    start = 0
    for at, (one, other) in enumerate(pairs):
        if at == 0 or one != pairs[at - 1][0]:
            start = at
        runs.setdefault(start, []).append(other)
    return runs


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
