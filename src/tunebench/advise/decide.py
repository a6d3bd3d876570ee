"""The rule of a recommendation: the cheapest technique whose quality is as good as the best's, as far as is known.

What is known of a technique's quality is a normal distribution, in points of the main metric. A technique may be
recommended if it is not significantly behind the best one, and its expected regret is at most so many points above the
smallest. Among these the cheapest is recommended.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ACCEPTED = 1.0
"""Points of expected regret above the smallest one that a cheaper technique may have."""
_DRAWS = 20_000
_Z = 1.96


@dataclass(frozen=True)
class Belief:
    """What is known of a technique's quality: points, relative to any fixed level, higher is better."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Outlook:
    """What choosing a technique means.

    Attributes:
        p_best: probability that no other one is better.
        regret: expected points below the best one.
        tied: whether it is not significantly behind the one with the highest mean.
    """

    p_best: float
    regret: float
    tied: bool


def outlooks(beliefs: Mapping[str, Belief]) -> dict[str, Outlook]:
    """Of each technique, by draws from what is known of all."""
    names = list(beliefs)
    means = np.array([beliefs[name].mean for name in names])
    deviations = np.array([beliefs[name].deviation for name in names])
    draws = means + deviations * np.random.default_rng(0).standard_normal((_DRAWS, len(names)))
    best = draws.max(axis=1, keepdims=True)
    shares = np.bincount(draws.argmax(axis=1), minlength=len(names)) / _DRAWS
    regrets = (best - draws).mean(axis=0)
    leader = int(means.argmax())
    errors = np.hypot(deviations, deviations[leader])
    tied = means[leader] - means <= _Z * errors
    return {
        name: Outlook(float(shares[place]), float(regrets[place]), bool(tied[place]))
        for place, name in enumerate(names)
    }


def eligible(outlook: Mapping[str, Outlook], accepted: float = ACCEPTED) -> list[str]:
    """The techniques that may be recommended, by expected regret."""
    least = min(one.regret for one in outlook.values())
    names = [name for name, one in outlook.items() if one.tied and one.regret <= least + accepted]
    return sorted(names, key=lambda name: outlook[name].regret)


def decide(outlook: Mapping[str, Outlook], costs: Mapping[str, float], accepted: float = ACCEPTED) -> str:
    """The cheapest technique that may be recommended; of equally cheap ones that with the smallest regret."""
    return min(eligible(outlook, accepted), key=lambda name: (costs[name], outlook[name].regret))
