"""Learning rates that fit a model and a number of steps, from the rates that were best in the evidence.

log10(best rate) = the variant's own constant + a log10(hidden / 384) + b log10(steps / 125), by ridge regression that
pulls each constant to the default's and both slopes to 0: where the evidence says nothing, the default stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunebench.advise.evidence.base import Evidence
from tunebench.advise.evidence.ranks import Setting, Variant, settings_of
from tunebench.techniques import techniques

HIDDEN, STEPS = 384, 125
_PRIOR = 1.0
"""The weight of the default, in data sets."""
_FEWEST = 2
"""Rates of a variant in a cell, at least, so that one of them can be called the best."""


@dataclass(frozen=True)
class Point:
    """The best rate of a variant in a cell, as a factor of its default."""

    variant: Variant
    hidden: int
    steps: int
    factor: float


class Rates:
    """Suggests rates.

    Args:
        evidence: cells of any models.
    """

    def __init__(self, evidence: Sequence[Evidence]):
        self._points = [point for one in evidence for point in _points(one)]

    def suggested(self, variant: Variant, hidden: int, steps: int) -> float:
        """A rate with two digits; the technique's default where the evidence does not have the variant.

        Args:
            variant: of a technique that has a learning rate.
            hidden: the model's hidden size.
            steps: optimizer steps of the whole training.
        """
        default = _default(variant)
        if default is None:
            raise ValueError(f"{variant.technique} has no learning rate")
        names, solved = self._fit
        if variant not in names:
            return default
        logarithm = solved[names[variant]] + _slopes(hidden, steps) @ solved[-2:]
        return min(1.0, float(f"{default * 10**logarithm:.2g}"))

    @cached_property
    def _fit(self) -> tuple[dict[Variant, int], np.ndarray]:
        names = {variant: place for place, variant in enumerate(dict.fromkeys(p.variant for p in self._points))}
        design = np.zeros((len(self._points), len(names) + 2))
        for row, point in zip(design, self._points, strict=True):
            row[names[point.variant]] = 1
            row[-2:] = _slopes(point.hidden, point.steps)
        target = np.array([math.log10(point.factor) for point in self._points])
        penalty = np.diag([_PRIOR] * design.shape[1])
        return names, np.linalg.solve(design.T @ design + penalty, design.T @ target)


def _slopes(hidden: int, steps: int) -> np.ndarray:
    return np.array([math.log10(hidden / HIDDEN), math.log10(max(steps, 1) / STEPS)])


def _points(evidence: Evidence) -> list[Point]:
    by_variant: dict[Variant, list[Setting]] = {}
    for one in settings_of(evidence):
        if one.learning_rate is not None:
            by_variant.setdefault(one.variant, []).append(one)
    points = []
    for variant, settings in by_variant.items():
        default, best = _default(variant), max(settings, key=lambda one: one.validation)
        if len(settings) >= _FEWEST and default and best.learning_rate and math.isfinite(best.validation):
            cell, steps = evidence.cell, best.runs[0].steps
            points.append(Point(variant, cell.hidden, steps, best.learning_rate / default))
    return points


def _default(variant: Variant) -> float | None:
    field = techniques()[variant.technique].model_fields.get("learning_rate")
    return field.default if field else None
