"""What people ask of a command at work, through `requests.jsonl` in the study's folder: it works for any executor."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tunebench.records import Failed, Record

if TYPE_CHECKING:
    from tunebench.run.job import Job

REQUESTS = "requests.jsonl"
"""Removed when the next command begins: requests are made of one command."""

_WHO = "by hand in 'tunebench watch'"


class StopRun(Record):
    """End a run at work."""

    action: Literal["stop"] = "stop"
    run: str

    def covers(self, job: "Job") -> bool:
        """Whether a job at work ends."""
        return job.run.id == self.run

    def result(self, job: "Job") -> Failed:
        """What is recorded of it."""
        return Failed(reason=f"stopped {_WHO}", run=job.run.info(job.family), environment={}, by_hand="stopped")


class SkipTechnique(Record):
    """End a technique's runs at work, and start none of those that wait.

    Trials are not covered: what they measure decides which trial comes next.
    """

    action: Literal["skip"] = "skip"
    label: str

    def covers(self, job: "Job") -> bool:
        """Whether a job is one of the technique."""
        return not job.trial and job.run.label == self.label

    def result(self, job: "Job") -> Failed:
        """What is recorded of each."""
        return Failed(
            reason=f"its technique was skipped {_WHO}",
            run=job.run.info(job.family),
            environment={},
            by_hand="skipped",
        )


Request = StopRun | SkipTechnique

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="action")])


def ask(out: Path, request: Request) -> None:
    """Ask the command that works in a study's folder.

    Raises:
        OSError: the folder cannot be written.
    """
    with (out / REQUESTS).open("ab", buffering=0) as file:
        file.write(request.model_dump_json().encode() + b"\n")


class Requests:
    """Reads a study's requests, each once; a line that is none is ignored."""

    def __init__(self, out: Path):
        self._path, self._read = out / REQUESTS, 0
        self._skipped: list[SkipTechnique] = []

    def new(self) -> Iterator[Request]:
        """Those that came since the last time."""
        content = b""
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole, newline, _ = content.rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.splitlines():
            with suppress(ValidationError):
                request = _REQUEST.validate_json(line)
                if isinstance(request, SkipTechnique):
                    self._skipped.append(request)
                yield request

    def skipped(self, job: "Job") -> SkipTechnique | None:
        """The request because of which a job is not started, if there is one."""
        return next((request for request in self._skipped if request.covers(job)), None)
