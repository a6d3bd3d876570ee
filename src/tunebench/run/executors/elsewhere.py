"""What executors on clusters share: a run is queued, reports through files, and is queued again if its machine dies.

The folder is the only state, on a file system that all machines share.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tunebench.engine.events import Event, Ready, ResultWritten, Unwritable
from tunebench.records import Failed
from tunebench.run.executors import ends
from tunebench.run.executors.placement import Placement
from tunebench.run.folder import unwritable
from tunebench.run.job import Job

LOOK_SECONDS = 1.0
"""Between two looks at the files of the runs at work."""

_GRACE_SECONDS = 20.0  # a shared file system may show late what another machine wrote
_SUBMISSIONS = 3  # of a run whose jobs end without a result


@dataclass(frozen=True)
class End:
    """How a queued job ended, as the cluster says.

    Attributes:
        state: in the cluster's words.
        reason: of the run's failure, where a repetition would end alike; None: the run is queued again.
        reported: whether a result may have been written that is not seen yet.
    """

    state: str
    reason: str | None = None
    reported: bool = True


@dataclass(eq=False)
class QueuedRun:
    """A run that was placed.

    Attributes:
        ticket: the cluster's handle of its job, once that is queued.
    """

    job: Job
    files: Placement
    ticket: Any = None
    read: int = 0  # bytes of its events
    submissions: int = 0
    ended: float | None = None  # when its job was first seen to have ended
    stopped: Failed | None = None


class Elsewhere(ABC):
    """An executor whose jobs are queued on a cluster. Leaving its context cancels what is queued or at work.

    Args:
        out: the study's output folder.
        logs: where the cluster writes what its jobs print.
    """

    CLUSTER: str
    """In sentences."""

    def __init__(self, out: Path, logs: Path):
        self._out, self._logs = out, logs
        self._placed: dict[str, QueuedRun] = {}
        self._waiting: deque[QueuedRun] = deque()
        self._happened: deque[tuple[Job, Event]] = deque()
        self._looked = 0.0

    @abstractmethod
    def slots(self) -> int:
        """How many runs may be queued or at work at once."""

    def there(self, job: Job) -> Job:
        """A job as the other machine is given it."""
        return job

    @abstractmethod
    def submit(self, waiting: Sequence[QueuedRun]) -> None:
        """Queue these and note their tickets."""

    @abstractmethod
    def submitted_before(self, folder: Path) -> Any:
        """The ticket of a job that an earlier command queued for the run of this folder, if it has not ended."""

    @abstractmethod
    def ended(self, placed: Collection[QueuedRun], seconds: float) -> list[QueuedRun]:
        """Wait so many seconds, or until a job ends; returns those whose jobs have ended."""

    @abstractmethod
    def end_of(self, ticket: Any) -> End:
        """How a job ended."""

    @abstractmethod
    def cancel(self, ticket: Any) -> None:
        """End a job, whatever it does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for placed in self._placed.values():
            if placed.ticket is not None:
                self.cancel(placed.ticket)

    @property
    def room(self) -> int:
        """How many more runs may be queued."""
        return self.slots() - len(self._placed)

    def place(self, job: Job) -> None:
        """Queue a run with the next look, unless an earlier command has queued it or its result is there.

        Raises:
            UserError: the output folder cannot be written.
        """
        there = self.there(job)
        placed = self._placed[job.folder] = QueuedRun(job, Placement.of(there))
        try:
            is_over = placed.files.write(there)
        except OSError as error:
            raise unwritable(self._out, error) from error
        if is_over:
            self._looked = 0.0
            return
        placed.ticket = self.submitted_before(Path(job.folder))
        if placed.ticket is None:
            self._waiting.append(placed)

    def stop(self, job: Job, result: Failed) -> None:
        """Cancel a run's job; its result is written when it has ended."""
        placed = self._placed.get(job.folder)
        if placed is None:
            return
        placed.stopped = result
        if placed.ticket is not None:
            self.cancel(placed.ticket)
        elif placed in self._waiting:
            self._waiting.remove(placed)
            self._end(placed, result)

    def wait(self) -> tuple[Job, Event] | None:
        """The next event of a run; None after a second without one.

        Raises:
            UserError: the cluster refuses the jobs, or the output folder cannot be written any more.
        """
        if self._waiting:
            waiting = list(self._waiting)
            self._waiting.clear()
            self.submit(waiting)
        if not self._happened:
            self._look()
        return self._happened.popleft() if self._happened else None

    def release(self) -> None:  # noqa: B027  it is what both do
        """Nothing is idle: every job has its own process."""

    def _look(self) -> None:
        """Take what the runs have reported, and notice the jobs that ended without a result."""
        queued = [one for one in self._placed.values() if one.ticket is not None]
        left = max(0.0, self._looked + LOOK_SECONDS - time.monotonic())
        ended = self.ended([one for one in queued if one.ended is None], left)
        ended += [one for one in queued if one.ended is not None]
        everyone = time.monotonic() - self._looked >= LOOK_SECONDS
        if everyone:
            self._looked = time.monotonic()
        for placed in list(self._placed.values()) if everyone else ended:
            self._take(placed)
        for placed in ended:
            if self._placed.get(placed.job.folder) is placed:
                placed.ended = placed.ended or time.monotonic()
                self._ended_without_result(placed, self.end_of(placed.ticket))

    def _take(self, placed: QueuedRun) -> None:
        """Take the news of a run.

        Raises:
            UserError: its machine cannot write the output folder.
        """
        events, placed.read = placed.files.news(placed.read)
        for event in events:
            if isinstance(event, Unwritable):
                raise ends.unwritable(self._out, event.reason)
            if isinstance(event, Ready):
                continue
            self._happened.append((placed.job, event))
            if isinstance(event, ResultWritten):
                self._placed.pop(placed.job.folder, None)
                placed.files.remove()
                return

    def _ended_without_result(self, placed: QueuedRun, end: End) -> None:
        """The run is queued again, unless that would end alike."""
        logs = f"see the logs in {self._logs}"
        if placed.stopped is None and end.reported and time.monotonic() - (placed.ended or 0.0) < _GRACE_SECONDS:
            return
        if placed.stopped is not None:
            self._end(placed, placed.stopped)
        elif end.reason is not None:
            self._end(placed, f"{end.reason}; {logs}.")
        elif placed.submissions >= _SUBMISSIONS:
            self._end(
                placed,
                f"{_SUBMISSIONS} {self.CLUSTER} jobs ended without a result, the last one as {end.state}; {logs}.",
            )
        else:
            placed.ticket = placed.ended = None
            self._waiting.append(placed)

    def _end(self, placed: QueuedRun, result: Failed | str) -> None:
        del self._placed[placed.job.folder]
        if isinstance(result, str):
            event = ends.failed(placed.job, result, self._out)
        else:
            event = ends.written(placed.job, result, self._out)
        placed.files.remove()
        self._happened.append((placed.job, event))
