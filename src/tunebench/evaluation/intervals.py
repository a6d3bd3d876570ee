"""95 % intervals of a metric's value, over test examples or groups of them.

The jackknife (Efron 1982) gives the variance: the value again without each example, or without each group. How it
becomes an interval depends on where the metric's values lie (`Metric.scale`), so that no interval leaves that range or
shrinks to nothing near its end:

- fraction: Wilson's (1927), for the effective number of examples: the number for which a proportion has this variance
  (Kish 1965), times (t(examples - 1) / t(groups - 1))^2 for few groups (Korn and Graubard 1998). For accuracy it is
  Wilson's own. Where no example changes the value, as with all correct, the number is that of the groups.
- correlation: symmetric on Fisher's z, with the jackknife's standard error instead of 1 / sqrt(n - 3), which holds for
  normal data only.
- positive: symmetric on the logarithm.
- not known: BCa (Efron 1987), from resamples of the groups.

docs/statistics.md has the coverage of each.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tunebench.evaluation.bootstrap import RESAMPLES, Interval, Sums, resample_weights
from tunebench.evaluation.metrics import METRICS, Metric, Predictions

METHODS = {"fraction": "wilson", "correlation": "fisher_z", "positive": "log", None: "bca"}
"""Scale -> the name of its interval, as records have it."""


def methods(metrics: Iterable[str]) -> dict[str, str]:
    """The name of each metric's interval."""
    return {name: METHODS[METRICS[name].scale] for name in metrics}


_TAIL = 0.975
_MOST = 1000
_NOTHING = 1e-12  # a relative difference that rounding makes


@dataclass(frozen=True)
class _Jackknife:
    """A metric's value, and its values without each group of examples, (groups,)."""

    value: float
    without: np.ndarray
    examples: int

    def variance(self, values: np.ndarray) -> float:
        """Of an estimate, from its values without each group."""
        count = len(values)
        return float((count - 1) / count * ((values - values.mean()) ** 2).sum())


def intervals(
    metrics: Iterable[Metric],
    predictions: Predictions,
    references: Predictions,
    groups: Sequence[int] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Interval | None]:
    """Each metric's 95 % interval; None where it is undefined, also without one of the groups, or with one group only.

    Args:
        metrics: those to compute.
        predictions: one per example.
        references: one per example.
        groups: a number for each example; those of one group depend on each other. None: each is its own.
        resamples: number of them, for metrics of an unknown scale.
    """
    _, places = np.unique(np.arange(len(references)) if groups is None else groups, return_inverse=True)
    return {
        metric.name: _interval(metric, Sums(metric, predictions, references), places, resamples) for metric in metrics
    }


def _interval(metric: Metric, sums: Sums, groups: np.ndarray, resamples: int) -> Interval | None:
    if groups.max() == 0:
        return None
    if metric.statistics is None:
        groups = _merged(groups)
    value = float(metric.combine(sums.weighted(np.ones((1, len(groups)))))[0])
    without = metric.combine(sums.without(groups))
    if not (math.isfinite(value) and np.isfinite(without).all()):
        return None
    jackknife = _Jackknife(value, without, len(groups))
    if metric.scale == "fraction":
        return _wilson(jackknife)
    if metric.scale == "correlation":
        return _on_z(jackknife)
    if metric.scale == "positive":
        return _on_logarithm(jackknife)
    drawn = resample_weights(len(without), resamples)
    values = [metric.combine(sums.weighted(weights[:, groups].astype(float))) for weights in drawn]
    return bca(value, without, np.concatenate(values))


def _merged(groups: np.ndarray) -> np.ndarray:
    """Groups that are drawn together until `_MOST` are left: ranks without each of n examples take n^2 steps.

    The variance stays unbiased (Kott 2001, the delete-a-group jackknife); its own error is a fiftieth.
    """
    return np.random.default_rng(0).permutation(groups.max() + 1)[groups] % _MOST


def _wilson(jackknife: _Jackknife) -> Interval:
    value, groups = jackknife.value, len(jackknife.without)
    # A proportion's variance is p (1 - p) / n, which divides by n where the jackknife's divides by n - 1.
    variance = jackknife.variance(jackknife.without) * (groups - 1) / groups
    number = float(groups)
    if 0 < value < 1 and variance > (_NOTHING * value) ** 2:
        number = value * (1 - value) / variance * (_t(jackknife.examples - 1) / _t(groups - 1)) ** 2
    return wilson(value, number, _normal())


def wilson(value: float, number: float, z: float) -> Interval:
    """Of a proportion of so many examples, `z` standard errors to either side (Wilson 1927)."""
    centre = (value + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(value * (1 - value) / number + z * z / (4 * number * number))
    return max(0.0, centre - half), min(1.0, centre + half)


def _on_z(jackknife: _Jackknife) -> Interval:
    """Where all points lie on a line, and without any of them, the interval is that one value."""
    if 1 - abs(jackknife.value) < _NOTHING:
        return jackknife.value, jackknife.value
    most = 1 - _NOTHING
    z = math.atanh(jackknife.value)
    half = _half(jackknife, np.arctanh(np.clip(jackknife.without, -most, most)))
    return math.tanh(z - half), math.tanh(z + half)


def _on_logarithm(jackknife: _Jackknife) -> Interval:
    factor = math.exp(_half(jackknife, np.log(jackknife.without)))
    return jackknife.value / factor, jackknife.value * factor


def _half(jackknife: _Jackknife, values: np.ndarray) -> float:
    return _t(len(values) - 1) * math.sqrt(jackknife.variance(values))


def bca(value: float, without: np.ndarray, values: np.ndarray) -> Interval | None:
    """Percentiles of the resamples' values, corrected for their bias and for a variance that depends on the value.

    Efron 1987; the bias counts half of the ties, and the acceleration is the jackknife's.

    Args:
        value: of all examples.
        without: without each group of examples, (groups,).
        values: of the resamples, (resamples,). If any is undefined, so is the interval.
    """
    from scipy.special import ndtr, ndtri

    if np.isnan(values).any():
        return None
    below = (np.mean(values < value) + np.mean(values <= value)) / 2
    least = 1 / (2 * len(values))
    bias = ndtri(min(max(below, least), 1 - least))
    influence = without.mean() - without
    scale = (influence**2).sum() ** 1.5
    acceleration = (influence**3).sum() / (6 * scale) if scale > 0 else 0.0
    normal = bias + np.array([-1, 1]) * _normal()
    low, high = np.quantile(values, ndtr(bias + normal / (1 - acceleration * normal)))
    return float(low), float(high)


@functools.cache
def _t(degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, _TAIL))


@functools.cache
def _normal() -> float:
    from scipy.special import ndtri

    return float(ndtri(_TAIL))
