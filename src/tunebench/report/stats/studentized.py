"""The studentised range, for many quantiles with degrees of freedom of their own at once.

`scipy.stats.studentized_range` takes 30 ms per value, which a report over hundreds of comparisons cannot afford.
"""

import functools

import numpy as np
from scipy.special import gammaln, ndtr

_WIDEST = 14.0  # normal standard deviations: no float shows the chance of a wider range
_GRID = np.linspace(0.0, _WIDEST, 1401)


def range_sf(quantiles: np.ndarray, techniques: int, freedom: np.ndarray) -> np.ndarray:
    """The probability of a studentised range above each quantile; `freedom` may be infinite or a fraction."""
    quantiles, freedom = np.broadcast_arrays(np.asarray(quantiles, float), np.asarray(freedom, float))
    deviations, weights = _deviations(freedom)
    return _exceeding(quantiles, techniques, deviations, weights)


def range_quantile(level: float, techniques: int, freedom: np.ndarray) -> np.ndarray:
    """The quantile that the studentised range exceeds with probability `level`, by bisection of its logarithm."""
    freedom = np.asarray(freedom, float)
    deviations, weights = _deviations(freedom)
    low, high = np.full(freedom.shape, np.log(0.01)), np.full(freedom.shape, np.log(1e5))
    for _ in range(48):
        middle = (low + high) / 2
        above = _exceeding(np.exp(middle), techniques, deviations, weights) > level
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.exp((low + high) / 2)


def _exceeding(quantiles: np.ndarray, techniques: int, deviations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    chances = np.interp(quantiles[..., None] * deviations, _GRID, _normal_range(techniques))
    return np.where(np.isnan(quantiles), np.nan, np.minimum((weights * chances).sum(axis=-1), 1.0))


@functools.lru_cache(maxsize=64)
def _normal_range(techniques: int) -> np.ndarray:
    """P(range of so many standard normal values > w) on the grid."""
    z = np.linspace(-8.0, 8.0, 161)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    below = ndtr(z)[:, None] - ndtr(z[:, None] - _GRID)
    inside = techniques * (z[1] - z[0]) * (density[:, None] * below ** (techniques - 1)).sum(axis=0)
    return np.clip(1 - inside, 0.0, 1.0)


def _deviations(freedom: np.ndarray, nodes: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Estimated standard deviations in units of the true one, and their probabilities, (..., nodes).

    Their logarithms, of sqrt(chi2 / f), have a smooth density that falls fast on both sides: a sum over equal steps is
    exact to seven digits.
    """
    f = np.minimum(freedom, 1e5)[..., None]
    start, end = -(34 / f + 8 / np.sqrt(2 * f)), np.minimum(8 / np.sqrt(2 * f), 2.0 + 3 / np.sqrt(f))
    x = start + (end - start) * np.linspace(0.0, 1.0, nodes)
    log_density = f * x - f * np.exp(2 * x) / 2 + np.log(2.0) + (f / 2) * np.log(f / 2) - gammaln(f / 2)
    return np.exp(x), np.exp(log_density) * (end - start) / (nodes - 1)
