"""An executor without processes: for tests of what commands say and keep, not of how workers live and die."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tunebench.engine.events import Event, read_event
from tunebench.records import Failed
from tunebench.run import pace
from tunebench.run.job import Job
from tunebench.run.timing import Request, Turn
from tunebench.run.worker import make


class Here:
    """Makes each job where it is placed, before anything is waited for."""

    def __init__(self, out: Path, jobs: int, workers: int | None = 1):
        self._happened: deque[tuple[Job, Event]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def room(self) -> int:
        return 0 if self._happened else 1

    def place(self, job: Job) -> None:
        """Both sides see what JSON lets pass, as between processes."""

        def observe(event: Event) -> None:
            self._happened.append((job, read_event(event.model_dump_json())))

        make(Job.model_validate_json(job.model_dump_json()), observe)

    def stop(self, job: Job, result: Failed) -> None:
        """Every job has ended before somebody could stop it."""

    def wait(self) -> tuple[Job, Event]:
        return self._happened.popleft()

    def release(self) -> None:
        pass


def turns_here(out: Path, request: Request) -> Iterator[Turn]:
    """As `timing.turns_of`, timed in this process."""
    for turn in pace.taken(Request.model_validate_json(request.model_dump_json())):
        yield Turn.model_validate_json(turn.model_dump_json())
