"""A study's plan: its runs, its cells, and its data."""

from typing import Any

from pydantic import Field

from tunebench.records.base import StudyRecord
from tunebench.records.result import Parameters


class PlannedRun(StudyRecord):
    """One run: the name of its folder, and which technique it measures on what, with which seed."""

    id: str = Field(pattern=r"^\w[^/\\\x00-\x1f]*$", max_length=255)
    model: str
    family: str
    task: str
    technique: str
    label: str
    seed: int


class PlannedMemory(StudyRecord):
    """Bytes that a run's model needs at its worst moment, without those of the process itself.

    Attributes:
        weights: of the model.
        gradients: of what trains.
        optimizer: AdamW's moments.
        activations: what a step keeps on the longest training texts, or what an evaluation needs.
        kept: outputs of a frozen trunk for the training split, twice, as they are written while they are in memory.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    kept: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.kept


class PlannedCell(StudyRecord):
    """One technique on one model and task: whether it applies, and how many parameters it would train.

    `parameters` is None where the technique does not apply, and for a baseline, whose size depends on the data.
    `title` is the technique's name in prose, `paper` its source; earlier plans do not have them. `epochs` is how many
    it may have; None where it trains in none, and where they are not settled. `memory` is forecast where a plan is
    asked for it.
    """

    model: str
    family: str
    task: str
    technique: str
    label: str
    title: str = ""
    paper: str = ""
    settings: dict[str, Any] = {}
    applicable: bool = True
    reason: str | None = None
    parameters: Parameters | None = None
    epochs: int | None = None
    memory: PlannedMemory | None = None


class PlannedData(StudyRecord):
    """A task's data as the plan read them.

    Attributes:
        rows: examples of each split, as used.
        files: rows of each file, as read; empty for data that are not files.
        tokens: about how many each split has (a quarter of its letters), for a forecast of the time that a run takes.
        notes: what was converted, carved, limited or left out.
        smallest_difference: the difference in accuracy between two techniques that this test split shows in four of
            five studies; None where an answer is not one class.
    """

    task: str
    source: str
    rows: dict[str, int]
    files: dict[str, int] = {}
    tokens: dict[str, int] = {}
    labels: int = 0
    notes: tuple[str, ...] = ()
    smallest_difference: float | None = None


class Plan(StudyRecord):
    """A study's `plan.json`, written before the first run. `price_per_hour`: of the machine, if the study gives it."""

    schema_version: int = Field(default=1, alias="schema")  # plans of schema 1 do not say so
    study: str
    command: str
    runs: tuple[PlannedRun, ...]
    cells: tuple[PlannedCell, ...]
    data: tuple[PlannedData, ...] = ()
    price_per_hour: float | None = Field(None, ge=0, allow_inf_nan=False)
