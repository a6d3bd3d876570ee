"""What to expect of each technique on data that no run has seen: its regret on similar data.

Similar are cells of the same objective; they count the more, the closer they are in training rows, labels, length of
texts and hidden size. The regret of a technique is how far it stays behind the best one, in points of the main metric.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tunebench.advise.evidence.base import Evidence
from tunebench.advise.evidence.ranks import Variant, regrets
from tunebench.records import EvidenceCell

WIDTH = 1.0
"""Distance, in units of a factor of 10 per property, at which a cell counts 60 % of an equal one."""
UNKNOWN, PRIOR_DEVIATION = 5.0, 3.0
"""Points that a technique without data is expected below the best, and the standard deviation of any such guess."""


@dataclass(frozen=True)
class Expectation:
    """The regret of a technique on data like the ones at hand, in points.

    Attributes:
        mean: over similar data sets.
        deviation: of one data set around it, plus the mean's own uncertainty.
        datasets: how many data sets speak for it; those that are not independent count once.
    """

    mean: float
    deviation: float
    datasets: int


def expectations(evidence: Sequence[Evidence], cell: EvidenceCell, width: float = WIDTH) -> dict[Variant, Expectation]:
    """Of every variant that occurs in cells of the same objective; empty where no cell has it.

    Args:
        evidence: of other data.
        cell: the data and the model at hand; its scores are not read.
        width: see `WIDTH`; infinite: all data sets count alike.
    """
    known: dict[Variant, list[tuple[float, float, str]]] = {}
    for one, weight in _weighted(evidence, cell, width):
        for variant, regret in regrets(one).items():
            if math.isfinite(regret):
                known.setdefault(variant, []).append((weight, regret, one.cell.group))
    return {variant: _expectation(rows) for variant, rows in known.items()}


def behind(evidence: Sequence[Evidence], cell: EvidenceCell, leader: Variant, other: Variant) -> Expectation | None:
    """How far one variant stays behind another one on the same data sets; None where no data set has both."""
    rows = []
    for one, weight in _weighted(evidence, cell, WIDTH):
        known = regrets(one)
        if leader in known and other in known and math.isfinite(difference := known[other] - known[leader]):
            rows.append((weight, difference, one.cell.group))
    return _expectation(rows) if rows else None


def _weighted(evidence: Sequence[Evidence], cell: EvidenceCell, width: float) -> Iterator[tuple[Evidence, float]]:
    for one in evidence:
        if one.cell.objective == cell.objective:
            yield one, math.exp(-((distance(one.cell, cell) / width) ** 2) / 2)


def distance(one: EvidenceCell, other: EvidenceCell) -> float:
    """Between two cells of one objective, in factors of 10."""
    pairs = (
        (one.rows["train"], other.rows["train"]),
        (max(one.labels, 1), max(other.labels, 1)),
        (one.letters, other.letters),
        (one.hidden, other.hidden),
    )
    return math.sqrt(sum(math.log10(max(a, 1) / max(b, 1)) ** 2 for a, b in pairs))


def _expectation(rows: Sequence[tuple[float, float, str]]) -> Expectation:
    """Weighted mean and deviation; one unit of weight of the prior deviation keeps few data sets from looking sure."""
    weights, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    total = max(float(weights.sum()), 1e-9)
    mean = float(weights @ values / total)
    spread = (float(weights @ (values - mean) ** 2) + PRIOR_DEVIATION**2) / (total + 1)
    return Expectation(mean, math.sqrt(spread * (1 + 1 / total)), len({row[2] for row in rows}))
