"""What the loop in `run/drive.py` asks of an executor."""

from typing import Protocol, Self

from tunebench.engine.events import Event
from tunebench.records import Failed
from tunebench.run.job import Job


class Executor(Protocol):
    """Executes jobs and reports their events. It knows no scheduler.

    It is a context manager: leaving it ends all that is still at work. Every job ends with one `ResultWritten` event,
    after its result stands in `job.folder`, also when the process that executed it dies.
    """

    @property
    def room(self) -> int:
        """How many more jobs can be placed now."""
        ...

    def place(self, job: Job) -> None:
        """Start a job; only if there is room."""
        ...

    def stop(self, job: Job, result: Failed) -> None:
        """End a job at work, whose result this becomes; nothing where the job has ended meanwhile."""
        ...

    def wait(self) -> tuple[Job, Event] | None:
        """Wait for the next event of a job at work, a second or so; None: nothing happened, or the room has changed.

        Raises:
            UserError: no result can be written any more.
        """
        ...

    def release(self) -> None:
        """No further job comes: what is idle, or becomes idle, may end."""
        ...

    def __enter__(self) -> Self:
        """Begin to make room."""
        ...

    def __exit__(self, *error: object) -> None:
        """End what is at work."""
        ...
