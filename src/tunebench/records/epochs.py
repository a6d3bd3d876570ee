"""The record of how a study's `epochs: auto` was settled."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tunebench.records.base import SCHEMA, Record, read_record

EPOCHS = "epochs.json"
"""In a study's folder: the number of epochs of each technique, which is decided once."""


class TuningPace(Record):
    """How long a technique takes, measured on a sample.

    Attributes:
        step_seconds: of one optimizer step.
        trunk_seconds: of one pass of the frozen trunk over the training split.
        steps: of one epoch.
    """

    step_seconds: float
    trunk_seconds: float
    steps: int

    def seconds(self, epochs: int) -> float:
        """Tuning seconds of so many epochs: the trunk once, and all steps."""
        return self.trunk_seconds + epochs * self.steps * self.step_seconds

    def epochs_within(self, seconds: float) -> int:
        """How many whole epochs fit into so many tuning seconds."""
        return int((seconds - self.trunk_seconds) / (self.steps * self.step_seconds) + 1e-9)


class SettledEpochs(Record):
    """The number of epochs of one technique on one model and task, and what it was settled by.

    Attributes:
        run: id of the run with the reference's epochs, which names model, task, settings and budget.
        epochs: the number.
        pace: None: `reason` says why it could not be measured, and it has the reference's epochs.
        reference: label of the technique whose seconds it may use.
        reference_pace: measured side by side with it.
        reference_epochs: of it.
        times: at most so many times the reference's epochs.
    """

    model: str
    task: str
    technique: str
    label: str
    run: str
    epochs: int
    pace: TuningPace | None
    reason: str | None = None
    reference: str
    reference_pace: TuningPace
    reference_epochs: int
    times: float

    @property
    def allowed_seconds(self) -> float:
        """The tuning seconds that the reference's epochs take."""
        return self.reference_pace.seconds(self.reference_epochs)


class EpochsRecord(Record):
    """A study's `epochs.json`."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    techniques: tuple[SettledEpochs, ...] = ()


def read_epochs(out: Path) -> EpochsRecord | None:
    """How the epochs of a study's folder were settled; None where nothing was, or the file is damaged."""
    return read_record(out / EPOCHS, EpochsRecord)
