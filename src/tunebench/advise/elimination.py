"""Which runs of a race are behind its leader: a paired test on validation answers after the same epoch.

The test is two-sided, by t = difference / standard error, where

    standard error^2 = variance over validation examples of the difference, by the jackknife (`evaluation/variances.py`)
                       + the variance between seeds of either run
                       + the square of what the difference still changes until the end (between techniques)

Single runs differ by the luck of their seeds, too, most of all in early epochs: without the second part equal
techniques would be dropped far too often. Without the third a slow starter would be dropped for what it has not learned
yet: techniques are compared as their schedules will end. The level of .05 is divided by the number of looks and of
competitors (Bonferroni), so that the best run is dropped in at most 5 % of races. docs/decisions/0024-race.md has the
measured shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from tunebench.evaluation.metrics import Metric, Predictions
from tunebench.evaluation.variances import Variances

LEVEL = 0.05
EARLY_SHARE, LATE_SHARE = 0.15, 0.1
"""The deviation between seeds that is assumed at least, as a share of that between examples: before half of the planned
epochs, and from there on. Measured: up to .13 and .07 (decision 0024)."""


FIRST, FIRST_UNKNOWN = 1 / 3, 1 / 2
"""Shares of the planned epochs before which no technique is dropped: with earlier results, and without."""


@dataclass(frozen=True)
class Gap:
    """How far a run is behind the leader, which has the best score of all.

    Attributes:
        difference: in the metric's unit, at least 0; NaN where a score is undefined.
        error: its standard error.
        p: two-sided, of one test.
        behind: whether p is at most the level of one test.
    """

    difference: float
    error: float
    p: float
    behind: bool


def rule(metric: Metric, at_the_end: bool = False) -> str:
    """How runs are dropped, in words; `at_the_end`: by what the difference will be when all epochs are trained."""
    if metric.statistics is None:
        return (
            f"no run is dropped, because {metric.title} has no paired test: it is not computed from sums over examples"
        )
    still = (
        ", and would be at the end of its schedule, by how much such differences still changed in earlier results; "
        "none is dropped before a third of its epochs, and without such results before half of them"
    )
    return (
        "a run is dropped when a paired test on validation answers says that it is behind the leader after the same "
        f"epoch{still * at_the_end}, at a level of .05 divided by the number of looks and of competitors"
    )


def level(looks: int, competitors: int) -> float:
    """Of one test."""
    return LEVEL / (max(looks, 1) * max(competitors, 1))


def gaps(
    metric: Metric,
    gold: Predictions,
    answers: Sequence[Predictions],
    looks: int,
    seed_deviation: float | None = None,
    competitors: int | None = None,
    progress: float = 0.0,
    drift: float = 0.0,
) -> list[Gap] | None:
    """Of each run, in the order given; None where the metric has no paired test, or no score is defined.

    Args:
        metric: which scores.
        gold: the references of the validation examples.
        answers: of each run, after the same epoch.
        looks: how many times runs are compared in the whole race.
        seed_deviation: the standard deviation of the metric between seeds, where it is known and larger than what is
            assumed; that of final scores is too small for early epochs.
        competitors: of each run; None: all others that are given.
        progress: the share of the planned epochs that is trained.
        drift: the standard deviation of what a difference still changes until all epochs are trained.
    """
    if metric.statistics is None:
        return None
    flat = [prediction for of_one in answers for prediction in of_one]
    counted = metric.statistics(flat, list(gold) * len(answers)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = Variances(metric, counted.reshape(len(answers), 1, len(gold), -1))
        scores = variances.scores[:, 0] * (1 if metric.higher_is_better else -1)
        if not np.isfinite(scores).any():
            return None
        leader, everyone = int(np.nanargmax(scores)), np.arange(len(answers))
        by_examples, freedom = variances.of_differences(np.full(len(answers), leader), everyone)
        assumed = (EARLY_SHARE if progress < 0.5 else LATE_SHARE) ** 2 * len(gold) * variances.of_means()[0] ** 2
        by_seed = np.fmax(assumed, (seed_deviation or 0.0) ** 2)
        differences = scores[leader] - scores
        errors = np.sqrt(by_examples**2 + by_seed + by_seed[leader] + drift**2)
        ps = np.where(differences == 0, 1.0, 2 * stdtr(freedom, -differences / errors))
    least = level(looks, len(answers) - 1 if competitors is None else competitors)
    figures = zip(differences, errors, ps, strict=True)
    return [Gap(float(one), float(error), float(p), bool(p <= least)) for one, error, p in figures]
