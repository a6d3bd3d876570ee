"""The rule of a recommendation: the cheapest technique whose quality is as good as the best's, as far as is known.

A technique may be recommended if it is expected to lose at most so many points, and is either statistically tied with
the best one or shown to lose no more than that. Among these the cheapest is recommended.

This is the reference: `recommend` and the report ask it here. The report's page repeats it in its script, which the
tests compare with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from tunebench.evaluation.metrics.base import Metric

ACCEPTED = 1.0
"""Points that a cheaper technique may lose."""
_EQUAL = 1e-9  # points: decimal fractions are not exact


@dataclass(frozen=True)
class Option:
    """What is known of a technique. A point is a hundredth of the metric, or of the best score of a perplexity.

    Attributes:
        loss: points that it is expected to lose, from any common level.
        tied: whether it is not significantly behind the best one.
        most: points that it loses at most, from the same level; infinite: not known.
        cost: in any unit; None: not measured, which is dearer than any other.
    """

    loss: float
    tied: bool
    most: float = inf
    cost: float | None = None


def whole(metric: Metric | None, best: float) -> float:
    """100 points in the metric's unit: 1, or the best score where that has no upper end."""
    return 1.0 if metric is not None and metric.scale in ("fraction", "correlation") else abs(best)


def acceptable(options: Mapping[str, Option], accepted: float = ACCEPTED) -> list[str]:
    """The techniques that may be recommended, smallest loss first."""
    limit = min((one.loss for one in options.values()), default=0.0) + accepted + _EQUAL
    names = [name for name, one in options.items() if one.loss <= limit and (one.tied or one.most <= limit)]
    return sorted(names, key=lambda name: options[name].loss)


def choose(options: Mapping[str, Option], accepted: float = ACCEPTED, noise: float = 0.0) -> str | None:
    """The cheapest technique that may be recommended; None where there is none.

    Of equally cheap ones it is that with the smallest loss. `noise` is the relative difference up to which two costs
    count as equal.
    """
    names = acceptable(options, accepted)
    costs = {name: inf if (cost := options[name].cost) is None else cost for name in names}
    least = min(costs.values(), default=inf)
    cheap = [name for name in names if costs[name] == least or costs[name] <= least + noise * abs(least)]
    return min(cheap, key=lambda name: (options[name].loss, costs[name]), default=None)
