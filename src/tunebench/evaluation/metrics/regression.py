"""Metrics of scores."""

import warnings
from collections.abc import Callable

import numpy as np

from tunebench.evaluation.metrics.base import Metric, Predictions


def _correlation(name: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        import scipy.stats

        with warnings.catch_warnings():  # a constant input gives NaN, and NaN it stays
            warnings.simplefilter("ignore")
            return float(getattr(scipy.stats, name)(predictions, references).statistic)

    return compute


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _pearson_statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
    x, y = np.asarray(predictions, float), np.asarray(references, float)
    return _moments(x - x.mean(), y - y.mean())  # centred: sums of squares lose no digits


def _combine_pearson(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    variances = (n * xx - x * x) * (n * yy - y * y)
    return np.divide(
        n * xy - x * y, np.sqrt(np.maximum(variances, 0)), out=np.full(n.shape, np.nan), where=variances > 0
    )


PEARSON = Metric(
    "pearson",
    "Pearson",
    "score",
    "correlation",
    True,
    _correlation("pearsonr"),
    _pearson_statistics,
    _combine_pearson,
    "scipy.stats.pearsonr",
    scale="correlation",
)
SPEARMAN = Metric(
    "spearman",
    "Spearman",
    "score",
    "correlation",
    True,
    _correlation("spearmanr"),
    None,
    _combine_pearson,
    "scipy.stats.spearmanr",
    scale="correlation",
)
