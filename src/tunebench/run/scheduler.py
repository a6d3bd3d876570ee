"""Which run is made next, and until which epoch: a scheduler is asked for jobs and told their results."""

from collections.abc import Sequence
from typing import Protocol

from tunebench.records import Result
from tunebench.run.job import Job


class Scheduler(Protocol):
    """Decides what is worth making. It knows no executor."""

    @property
    def finished(self) -> bool:
        """Whether `ask` gives no further job, whatever results are still told."""
        ...

    def ask(self) -> Job | None:
        """The next job, or None where nothing is to begin before another result is told."""
        ...

    def tell(self, job: Job, result: Result) -> None:
        """How a job ended. Every job that was given is told once."""
        ...


class FixedList:
    """Every job once, in the order given, whatever becomes of the others."""

    def __init__(self, jobs: Sequence[Job]):
        self._waiting = list(reversed(jobs))

    @property
    def finished(self) -> bool:
        """Whether all jobs were given."""
        return not self._waiting

    def ask(self) -> Job | None:
        """The next job of the list."""
        return self._waiting.pop() if self._waiting else None

    def tell(self, job: Job, result: Result) -> None:
        """No result changes the list."""
