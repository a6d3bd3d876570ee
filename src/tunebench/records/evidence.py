"""Results of earlier runs that advice is based on: a cell, and the runs that were made in it."""

import json
from typing import Any

from tunebench.records.base import Record


class EvidenceCell(Record):
    """One model on one data set of one size.

    Attributes:
        dataset: its name.
        related: a name that it shares with data sets from which it is not independent.
        metric: the main one, which chose the best epochs and ranks.
        rows: per split.
        labels: how many; 0 where an answer is no label.
        largest: share of the commonest label in the training split; None where an answer is not one label.
        letters: mean per training text.
        data: fingerprint of the examples.
        backbone: fingerprint of the model's files.
        hidden: the model's hidden size.
        layers: of its stack, or of both stacks together.
    """

    dataset: str
    related: str | None = None
    objective: str
    metric: str
    higher_is_better: bool
    rows: dict[str, int]
    labels: int
    largest: float | None = None
    letters: float
    data: str
    model: str
    family: str
    backbone: str
    hidden: int
    layers: int

    @property
    def group(self) -> str:
        """Data sets with the same group are left out together."""
        return self.related or self.dataset


class EvidenceRun(Record):
    """One run of a cell.

    Attributes:
        run: its id.
        settings: those that differ from the technique's defaults, without the learning rate.
        epochs: of the budget.
        curve: the main metric on validation after each epoch.
        validation: at the best epoch.
        test: of the same weights.
        seconds: of tuning, on whatever machine and beside whatever work it was made.
        cpu_seconds: of tuning.
        latency: median seconds of one answer.
        parameters: of the tuned model; of a baseline, what it learned.
        reason: why it has no scores.
    """

    run: str
    technique: str
    settings: dict[str, Any] = {}
    learning_rate: float | None = None
    seed: int
    epochs: int
    batch_size: int
    curve: tuple[float | None, ...] = ()
    best_epoch: int | None = None
    validation: float | None = None
    test: float | None = None
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = None
    saved_bytes: int = 0
    peak_memory_bytes: int = 0
    latency: float | None = None
    parameters: int = 0
    trainable: int = 0
    reason: str | None = None

    @property
    def key(self) -> str:
        """What tells it from the other runs of its cell."""
        same = (self.technique, self.settings, self.learning_rate, self.seed, self.epochs, self.batch_size)
        return json.dumps(same, sort_keys=True)
