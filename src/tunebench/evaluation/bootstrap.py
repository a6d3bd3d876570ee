"""Intervals over examples: the metrics again in 10,000 resamples of the test split.

A bootstrap that calls scikit-learn 10,000 times takes minutes. One resample is one row of weights, how often each
example stands in it, times a metric's additive statistics; ranks within a resample follow from the weights, too.
"""

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tunebench.evaluation.metrics import Metric, Predictions

RESAMPLES = 10_000
CHUNK = 500  # resamples at once: 500 x 25,000 examples stay at about 100 MB

Interval = tuple[float, float]
Weights = Callable[[int, int, int], Iterable[np.ndarray]]


def resample_weights(examples: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each example stands in each resample, (at most 500, examples) at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        draws = rng.integers(0, examples, size=(size, examples)) + np.arange(size)[:, None] * examples
        yield np.bincount(draws.ravel(), minlength=size * examples).reshape(size, examples)


def bootstrap_intervals(
    metrics: Iterable[Metric],
    predictions: Predictions,
    references: Predictions,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weights: Weights = resample_weights,
) -> dict[str, Interval | None]:
    """Each metric's 95 % percentile interval over examples, from one set of resamples; None where it is undefined.

    Efron and Tibshirani 1993, ch. 13.
    `weights` takes examples, resamples and seed, as `resample_weights` does; another one may keep what it drew.
    """
    sums = {metric: _sums(metric, predictions, references) for metric in metrics}
    values: dict[str, list[np.ndarray]] = {metric.name: [] for metric in sums}
    for drawn in weights(len(references), resamples, seed):
        drawn = drawn.astype(np.float64)
        for metric, of in sums.items():
            values[metric.name].append(metric.combine(of(drawn)))
    return {name: _percentiles(np.concatenate(parts)) for name, parts in values.items()}


def _percentiles(values: np.ndarray) -> Interval | None:
    if np.isnan(values).any():  # some resample leaves the metric undefined: then so is the interval
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _sums(metric: Metric, predictions: Predictions, references: Predictions) -> Callable[[np.ndarray], np.ndarray]:
    """Weights (resamples, examples) -> sums (resamples, k) of what `combine` takes."""
    if metric.statistics is None:
        return functools.partial(_rank_sums, np.asarray(predictions, float), np.asarray(references, float))
    statistics = metric.statistics(predictions, references).astype(np.float64)
    return lambda weights: weights @ statistics


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
