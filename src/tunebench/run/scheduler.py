"""Which run is made next, and until which epoch: schedulers, in ask-and-tell form."""

from collections.abc import Sequence
from typing import Protocol

from tunebench.records import Result
from tunebench.run.job import Job


class Scheduler(Protocol):
    """Decides what is worth making. It knows no executor."""

    @property
    def finished(self) -> bool:
        """Whether `ask` will return no further job."""
        ...

    def ask(self) -> Job | None:
        """The next job, or None if no job can start before another result is reported."""
        ...

    def tell(self, job: Job, result: Result) -> None:
        """Report how a job ended, once for every job."""
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
