"""What choosing a technique means, by what is known of all, and which one the rule of `evaluation/choice.py` chooses.

What is known of a technique's quality is a normal distribution, in points of the main metric. Its loss is its expected
regret.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tunebench.evaluation.choice import ACCEPTED, Option, acceptable, choose

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
        most: points that it is behind that one at most.
    """

    p_best: float
    regret: float
    tied: bool
    most: float


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
    gaps = means[leader] - means
    tied, most = gaps <= _Z * errors, gaps + _Z * errors
    return {
        name: Outlook(float(shares[place]), float(regrets[place]), bool(tied[place]), float(most[place]))
        for place, name in enumerate(names)
    }


def eligible(outlook: Mapping[str, Outlook], accepted: float = ACCEPTED) -> list[str]:
    """The techniques that may be recommended, by expected regret."""
    return acceptable(_options(outlook, {}), accepted)


def decide(outlook: Mapping[str, Outlook], costs: Mapping[str, float], accepted: float = ACCEPTED) -> str:
    """The cheapest technique that may be recommended; of equally cheap ones that with the smallest regret."""
    chosen = choose(_options(outlook, costs), accepted)
    assert chosen is not None  # that with the smallest regret may always be
    return chosen


def _options(outlook: Mapping[str, Outlook], costs: Mapping[str, float]) -> dict[str, Option]:
    least = min((one.regret for one in outlook.values()), default=0.0)
    return {name: Option(one.regret, one.tied, least + one.most, costs.get(name)) for name, one in outlook.items()}
