"""How much scores vary in the evidence: between seeds, and between an early epoch and the end."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, variance

from tunebench.advise.evidence.base import Evidence
from tunebench.advise.evidence.ranks import chosen_of, settings_of


def seed_deviation(evidence: Sequence[Evidence], metric: str) -> float | None:
    """Of a metric on validation, between seeds of the same settings; None where no settings have two seeds."""
    variances = [
        variance(scores)
        for one in evidence
        if one.cell.metric == metric
        for setting in settings_of(one)
        if len(scores := [run.validation for run in setting.runs if run.validation is not None]) > 1
    ]
    return math.sqrt(fmean(variances)) if variances else None


def drift(evidence: Sequence[Evidence], metric: str, share: float) -> float | None:
    """By how much the difference of two techniques still changes after a share of the epochs: root mean square.

    None where the evidence has no pair of techniques with curves on one data set.
    """
    changes = []
    for one in evidence:
        if one.cell.metric != metric:
            continue
        runs = [setting.runs[0] for setting in chosen_of(one).values() if setting.runs[0].curve]
        for a, b in combinations(runs, 2):
            early = [_at(run.curve, share) for run in (a, b)]
            late = [run.validation for run in (a, b)]
            if None not in (*early, *late):
                changes.append((late[0] - late[1]) - (early[0] - early[1]))  # type: ignore[operator]
    return math.sqrt(fmean(change**2 for change in changes)) if changes else None


def _at(curve: Sequence[float | None], share: float) -> float | None:
    return curve[max(1, round(share * len(curve))) - 1]
