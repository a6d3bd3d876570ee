"""A metric: computed by its reference library, and from additive statistics per example.

Most metrics are a function of sums over examples (counts of a confusion matrix, moments), which is what a bootstrap of
10,000 resamples needs. Tests hold both ways equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Predictions = Sequence[Any]
Scale = Literal["fraction", "correlation", "positive"]


@dataclass(frozen=True)
class Metric:
    """One figure of quality.

    Attributes:
        name: its name in records.
        title: its name in tables.
        form: what the answers are that it scores (see `tasks.base.Task.form`).
        unit: what one unit is.
        higher_is_better: the direction.
        compute: (predictions, references) -> value, by the reference library. NaN where it is undefined.
        statistics: (predictions, references) -> (examples, k) additive statistics, or None if there are none.
        combine: sums of shape (resamples, k) -> values of shape (resamples,).
        source: the definition.
        remark: (references) -> what a reader must know of this metric on these references, or None.
        scale: where its values lie, which decides its interval (`evaluation.intervals`): from 0 to 1, from -1 to 1, or
            above 0; None: not known.
    """

    name: str
    title: str
    form: str
    unit: str
    higher_is_better: bool
    compute: Callable[[Predictions, Predictions], float]
    statistics: Callable[[Predictions, Predictions], np.ndarray] | None
    combine: Callable[[np.ndarray], np.ndarray]
    source: str
    remark: Callable[[Predictions], str | None] = lambda references: None
    scale: Scale | None = None


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Division by counts where 0/0 is 0, as scikit-learn and seqeval count an empty class."""
    return numerator / np.maximum(denominator, 1)


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first of two sums divided by the second."""
    return divide(sums[..., 0], sums[..., 1])
