"""What each technique would cost on this machine: 20 measured steps, one answer, and what follows from them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tunebench.records import Record
from tunebench.run.job import Job
from tunebench.run.timing import Request, Turn, turns_of


class ForecastCost(Record):
    """The forecast of a run's costs.

    Attributes:
        tuning_seconds: of the frozen trunk and all optimizer steps, or of a baseline's fit.
        seconds: with the validation after each epoch.
        memory_bytes: peak of the process.
        saved_bytes: of what a run keeps.
        latency_seconds: of one answer, merged where the technique can be.
        ordinary: whether the tuned model is an ordinary one, or can be merged into one.
        keeps_backbone: whether no pretrained weight changes.
        trainable: parameters.
        steps: optimizer steps of the whole run; 0 of a baseline.
    """

    tuning_seconds: float
    seconds: float
    memory_bytes: int
    saved_bytes: int
    latency_seconds: float | None
    ordinary: bool
    keeps_backbone: bool
    trainable: int
    steps: int


class Prices(Record):
    """What was measured so far, so that a command that is repeated measures nothing twice.

    Attributes:
        of: the data and the model.
        seconds: that measuring took.
        costs: by run id.
    """

    of: str
    seconds: float = 0.0
    costs: dict[str, ForecastCost] = {}


SHARE, WITHOUT_RACE = 0.25, 60.0
"""What measuring may take: a share of the seconds, and so many seconds where there is no race."""
FEWEST = 2
"""Techniques that are measured however long it takes."""


def allowed_seconds(seconds: float) -> float:
    """What measuring may take of so many seconds; nothing is begun after it."""
    return SHARE * seconds if seconds > 0 else WITHOUT_RACE


def priced(out: Path, jobs: Sequence[Job]) -> Iterator[tuple[Job, ForecastCost | str]]:
    """The price of each job, or why it has none, as they are measured.

    Raises:
        UserError: the process that measures ended.
    """
    by_run = {job.run.id: job for job in jobs}
    for turn in turns_of(out, Request(comparisons=(tuple(jobs),), rounds=1, priced=True)):
        job = by_run[turn.run]
        yield job, turn.reason or _price(turn, job.run.training.epochs)


def _price(turn: Turn, epochs: int) -> ForecastCost:
    tuning = turn.seconds if turn.baseline else turn.trunk_seconds + turn.steps * turn.seconds
    passes = 0 if turn.baseline else 1 if turn.trunk_seconds else epochs
    return ForecastCost(
        tuning_seconds=tuning,
        seconds=tuning + passes * turn.evaluation_seconds,
        memory_bytes=turn.peak_memory_bytes,
        saved_bytes=turn.saved_bytes,
        latency_seconds=turn.latency_seconds,
        ordinary=turn.ordinary or turn.baseline,
        keeps_backbone=turn.keeps_backbone,
        trainable=turn.trainable,
        steps=turn.steps,
    )
