"""What a section takes and returns.

A section is one file of this package and one line of an ordered list in `sections/__init__.py`. Sections of a
comparison run in a process of their own (`processes.py`), so that what they return must be picklable data.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunebench.evaluation.choice import ACCEPTED
from tunebench.records import SearchedTechnique, SettledEpochs
from tunebench.report.blocks import Block, Card, Section
from tunebench.report.charts.base import Looks
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.predictions import Answers
from tunebench.report.read.study import StudyResults
from tunebench.report.stats.notices import Group
from tunebench.report.stats.paired import Pairs


@dataclass(frozen=True)
class Case:
    """One comparison with all its data.

    Attributes:
        study: the study's name.
        tests: the paired tests of its techniques; None where no two can be tested.
        answers: predictions and references by run id; None where a file cannot be read.
        inputs: one text per test example; None if no file has them.
        looks: colour, shape and dash of each technique.
        accepted: points that a recommended technique may lose.
        anchor: of the section on it.
        searched: the techniques whose settings were searched, and the budget of each in words.
        epochs: how those of each technique were settled, where the study says `epochs: auto`.
    """

    study: str
    comparison: Comparison
    tests: Pairs | None
    answers: Mapping[str, Answers | None]
    inputs: Sequence[str] | None
    looks: Looks
    accepted: float = ACCEPTED
    anchor: str = ""
    searched: tuple[SearchedTechnique, ...] = ()
    budget: str = ""
    epochs: tuple[SettledEpochs, ...] = ()


@dataclass(frozen=True)
class Examined:
    """One comparison with its tests, the blocks of all its sections, and its card of the summary."""

    comparison: Comparison
    tests: Pairs | None
    blocks: tuple[Block, ...]
    card: Card


@dataclass(frozen=True)
class Whole:
    """The study with all its comparisons.

    Attributes:
        undrawn: number of charts that only a browser draws.
        accepted: points that a recommended technique may lose.
    """

    study: StudyResults
    examined: tuple[Examined, ...]
    notices: tuple[Group, ...]
    undrawn: int
    accepted: float

    @property
    def comparisons(self) -> list[Comparison]:
        """In the order of the plan."""
        return [one.comparison for one in self.examined]

    @property
    def families(self) -> dict[str, list[Examined]]:
        """The comparisons by family, in the order of the plan."""
        groups: dict[str, list[Examined]] = {}
        for one in self.examined:
            groups.setdefault(one.comparison.family, []).append(one)
        return groups


def anchors(compared: Sequence[Comparison]) -> list[str]:
    """The anchor of each comparison's section: by family, then by its place in it."""
    families: dict[str, int] = {}
    places: Counter[str] = Counter()
    found = []
    for comparison in compared:
        family = families.setdefault(comparison.family, len(families) + 1)
        places[comparison.family] += 1
        found.append(f"comparison-{family}-{places[comparison.family]}")
    return found


OfComparison = Callable[[Case], Sequence[Block]]
OfStudy = Callable[[Whole], Sequence[Section]]
