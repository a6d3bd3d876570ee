"""A run that a machine elsewhere makes: the files in its folder through which the command and that machine talk.

`placed-<digest of the job>.json` is the job. `placed-<digest>.jsonl` takes its events, from whichever machine makes it,
until the command has heard of its result; then both are removed. So a command that was killed leaves a letter-box: the
next one hears of the result that was reported meanwhile, and no run is made twice.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from tunebench._util.files import write_atomically
from tunebench.engine.events import Event, ResultWritten, Unwritable, read_event
from tunebench.run.job import Job


@dataclass(frozen=True)
class Placement:
    """The files of one job. A job that differs, such as one until a later epoch, has files of its own.

    Attributes:
        path: of the job; this name is all that another machine is given.
    """

    path: Path

    @classmethod
    def of(cls, job: Job) -> Self:
        """A job's, with absolute paths: the other machine has another working directory."""
        digest = hashlib.sha256(_there(job).model_dump_json().encode()).hexdigest()[:12]
        return cls(Path(job.folder).absolute() / f"placed-{digest}.json")

    @property
    def events(self) -> Path:
        """What happened, one JSON object per line."""
        return self.path.with_suffix(".jsonl")

    def write(self, job: Job) -> bool:
        """Write what the other machine reads; says whether the run's result was reported to an earlier command.

        Other jobs of the run are withdrawn: where one is queued still, it ends without work. A failure that nobody
        has heard of is made again, as every failed run is.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for other in self.path.parent.glob("placed-*.json"):
            if other != self.path:
                Placement(other).remove()
        happened = list(_events_in(self._content()))
        if any(isinstance(one, Unwritable) or _is_failure(one) for one in happened):
            self.events.unlink(missing_ok=True)
            happened = []
        write_atomically(self.path, _there(job).model_dump_json().encode())
        return any(isinstance(one, ResultWritten) for one in happened)

    def is_over(self) -> bool:
        """Whether there is nothing to make: the result was reported, or the job was withdrawn."""
        if not self.path.exists():
            return True
        return any(isinstance(event, ResultWritten) for event in _events_in(self._content()))

    def news(self, read: int) -> tuple[list[Event], int]:
        """The events after so many bytes, and how many bytes are read then. A half-written line waits."""
        content = self._content(read)
        return list(_events_in(content)), read + content.rfind(b"\n") + 1

    def remove(self) -> None:
        """Remove both files: the result is known."""
        for path in (self.path, self.events):
            with suppress(OSError):
                path.unlink()

    def _content(self, start: int = 0) -> bytes:
        try:
            with self.events.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""


def _events_in(content: bytes) -> Iterator[Event]:
    """Those of whole lines; a machine that died may have left a part of one."""
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        with suppress(ValidationError):
            yield read_event(line)


def _is_failure(event: Event) -> bool:
    return isinstance(event, ResultWritten) and event.status == "failed"


def _there(job: Job) -> Job:
    folder, cache = str(Path(job.folder).absolute()), str(Path(job.cache).absolute())
    return job.model_copy(update={"folder": folder, "cache": cache})
