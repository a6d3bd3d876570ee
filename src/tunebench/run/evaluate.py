"""How epochs are compared: on which validation examples, and with how many beams."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunebench.engine.cut import Cut
from tunebench.engine.evaluate import score
from tunebench.objectives.base import Objective


@dataclass
class EpochComparison:
    """The validation examples that epochs are compared on, and the answers to them after the newest epoch.

    Attributes:
        split: what the cut calls them: "validation", or "comparison" where they are not all of it.
        rows: which rows of the validation split they are.
        examples: the examples themselves.
        gold: their references.
        objective: reads the answers, maybe with fewer beams than the final ones.
        exact: whether the scores are those of the whole split with the task's own way of answering.
        answers: predictions and their details; None before the first epoch of this process.
    """

    split: str
    rows: list[int]
    examples: list[Any]
    gold: Sequence[Any]
    objective: Objective
    exact: bool
    answers: tuple[list[Any], list[Any]] | None = field(default=None)

    def scores(self, cut: Cut, metrics: Sequence[str]) -> dict[str, float | None]:
        """The validation scores of the current model."""
        self.answers = cut.predict(self.split, self.objective)
        return score(metrics, self.answers[0], self.gold)


def compared_rows(wanted: int | None, there: int) -> list[int]:
    """The rows of the validation split that epochs are compared on."""
    if wanted is None or wanted >= there:
        return list(range(there))
    return sorted(np.random.default_rng(0).permutation(there)[:wanted].tolist())


def with_beams(objective: Objective, beams: int | None) -> Objective:
    """The objective, or one that decodes with fewer beams."""
    if beams is None or not objective.writes or beams >= objective.beams:
        return objective
    cheaper = copy.copy(objective)
    cheaper.beams = beams
    return cheaper
