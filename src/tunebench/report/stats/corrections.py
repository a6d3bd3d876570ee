"""P-values and intervals of a family of differences, corrected for the choice or the number of its members."""

from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
from scipy.special import ndtri, stdtrit

from tunebench.report.stats.studentized import range_quantile, range_sf

LEVEL = 0.05
_NORMAL = 1e5  # degrees of freedom from which on t is normal


class Correction(Protocol):
    """How p-values of one test each become those of the family, and how wide intervals are."""

    def adjusted(self, ps: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
        """Corrected p-values; `freedom` is that of the tests' t."""
        ...

    def quantile(self, freedom: np.ndarray) -> np.ndarray:
        """Half an interval, in standard errors."""
        ...


@dataclass(frozen=True)
class StudentizedRange:
    """Any two of so many techniques, whichever are the best and the worst: Tukey; Games and Howell (1976)."""

    techniques: int

    def adjusted(self, ps: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
        """The probability that the range of equal techniques exceeds the t of each p."""
        return range_sf(sqrt(2) * _quantile(np.asarray(ps) / 2, freedom), self.techniques, np.asarray(freedom))

    def quantile(self, freedom: np.ndarray) -> np.ndarray:
        """Of the studentised range."""
        return range_quantile(LEVEL, self.techniques, freedom) / sqrt(2)


@dataclass(frozen=True)
class Number:
    """So many comparisons with one technique that no score chose: Bonferroni."""

    comparisons: int

    def adjusted(self, ps: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
        """Each p as often as there are comparisons."""
        return np.minimum(self.comparisons * np.asarray(ps), 1.0)

    def quantile(self, freedom: np.ndarray) -> np.ndarray:
        """Of t, at the level divided by their number."""
        return _quantile(np.full(np.shape(freedom), LEVEL / (2 * max(self.comparisons, 1))), freedom)


def _quantile(tails: np.ndarray, freedom: np.ndarray | float) -> np.ndarray:
    """What t exceeds with these probabilities; infinite for 0."""
    freedom = np.broadcast_to(freedom, np.shape(tails))
    normal = freedom > _NORMAL
    return np.where(normal, -ndtri(tails), -stdtrit(np.where(normal, 1.0, freedom), tails))
