"""Resamples of the test examples, and the sums that a metric has in them.

A bootstrap that calls scikit-learn 10,000 times takes minutes. One resample is one row of weights, how often each
example stands in it, times a metric's additive statistics; ranks within a resample follow from the weights, too.
"""

import functools
from collections.abc import Iterator

import numpy as np

from tunebench.evaluation.metrics import Metric, Predictions

RESAMPLES = 10_000
CHUNK = 500  # resamples at once: 500 x 25,000 examples stay at about 100 MB

Interval = tuple[float, float]


def resample_weights(examples: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each example stands in each resample, (at most 500, examples) at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        draws = rng.integers(0, examples, size=(size, examples)) + np.arange(size)[:, None] * examples
        yield np.bincount(draws.ravel(), minlength=size * examples).reshape(size, examples)


class Sums:
    """Sums over a metric's examples of what its `combine` takes."""

    def __init__(self, metric: Metric, predictions: Predictions, references: Predictions):
        if metric.statistics is None:
            self._statistics = None
            self._of_ranks = functools.partial(
                _rank_sums, np.asarray(predictions, float), np.asarray(references, float)
            )
        else:
            self._statistics = metric.statistics(predictions, references).astype(np.float64)

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """Of weights (resamples, examples), (resamples, k)."""
        return self._of_ranks(weights) if self._statistics is None else weights @ self._statistics

    def without(self, groups: np.ndarray) -> np.ndarray:
        """Of all examples but those of each group, (groups, k); `groups` numbers each example's from 0."""
        count = groups.max() + 1
        if self._statistics is None:  # ranks change with every example that is left out
            blocks = (np.arange(start, min(start + CHUNK, count))[:, None] for start in range(0, count, CHUNK))
            return np.concatenate([self._of_ranks((groups != block).astype(float)) for block in blocks])
        of_group = np.zeros((count, self._statistics.shape[1]))
        np.add.at(of_group, groups, self._statistics)
        return self._statistics.sum(axis=0) - of_group


def _rank_sums(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of the moments of the ranks within each resample: halves of whole numbers, so that they are exact."""
    one, other = _ranks(x, weights), _ranks(y, weights)
    weighted = weights * one
    return np.column_stack(
        [
            weights.sum(1),
            weighted.sum(1),
            (weights * other).sum(1),
            (weighted * one).sum(1),
            (weights * other * other).sum(1),
            (weighted * other).sum(1),
        ]
    )


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each example's rank within each resample, ties at their mean, (resamples, examples): sorted once for all."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(distinct)))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    return (tied.cumsum(axis=1) - (tied - 1) / 2)[:, place]
