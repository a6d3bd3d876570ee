"""What the seeds of a study say of a comparison that has one seed, and how many it would need."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from tunebench.report.read.comparisons import Comparison
from tunebench.report.stats.corrections import LEVEL
from tunebench.report.stats.studentized import range_quantile

POWER = 0.8
MOST = 50
"""Seeds that a study could afford."""


@dataclass(frozen=True)
class SeedDeviation:
    """The standard deviation of a metric between seeds, pooled over rows that have several.

    Attributes:
        value: in the metric's unit.
        rows: number of rows.
        cells: of which comparisons, in words.
    """

    value: float
    rows: int
    cells: tuple[str, ...]


def seed_deviation(compared: Sequence[Comparison], metric: str) -> SeedDeviation | None:
    """Of all trained rows of these comparisons with this main metric and at least two seeds; None if there are none."""
    squares, freedom, rows, cells = 0.0, 0, 0, []
    for comparison in compared:
        if comparison.main is None or comparison.main[0] != metric:
            continue
        for row in comparison.rows:
            values = [value for value in row.score(metric).values if value is not None]
            if len(values) < 2 or row.baseline:
                continue
            squares += float(np.var(values)) * len(values)
            freedom, rows = freedom + len(values) - 1, rows + 1
            cells.append(f"{comparison.task} with {comparison.model}")
    return SeedDeviation(sqrt(squares / freedom), rows, tuple(dict.fromkeys(cells))) if freedom else None


def seeds_needed(difference: float, deviation: float, error: float, techniques: int) -> int | None:
    """How many seeds show a difference of expected scores in four of five studies; None: more than `MOST`.

    Args:
        difference: between two techniques.
        deviation: standard deviation between seeds of each.
        error: standard error of their difference over test examples.
        techniques: number of techniques that are compared with the best.
    """
    counts = np.arange(2, MOST + 1)
    freedom = 2.0 * (counts - 1)
    quantiles = range_quantile(LEVEL, techniques, freedom) / sqrt(2) + stdtrit(freedom, POWER)
    enough = quantiles * np.sqrt(2 * deviation**2 / counts + error**2) <= difference
    return int(counts[enough][0]) if enough.any() else None
