"""A study's `progress.jsonl`: what its runs did, for those who watch from another process or another machine.

It decides nothing: no run reads it, and a study goes on where it cannot be written.
"""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil
from pydantic import ValidationError

from tunebench.engine.events import BatchDone, Driven, Driving, Event, Placed, Step, line_of, read_event

if TYPE_CHECKING:
    from tunebench.run.job import Job

PROGRESS, EARLIER = "progress.jsonl", "progress.earlier.jsonl"
"""The newest lines, and those before them."""

BEAT = 5.0
"""Seconds between two signs of life, of which the file's time is one."""

_LARGEST = 4_000_000  # bytes of each of both files
_STEP_SECONDS = 1.0  # between two steps of a run that are kept
_AT_ONCE = 10  # steps a second of all runs together


@dataclass(frozen=True)
class ProgressLine:
    """A line: what happened, when (Unix time in seconds), and in which run; None: in the command."""

    time: float
    run: str | None
    event: Event


def progress_line(line: bytes) -> ProgressLine | None:
    """A line's entry; None where it is damaged, or a later version wrote it."""
    try:
        content = json.loads(line)
        when, run = float(content.pop("time")), content.pop("run", None)
        return ProgressLine(when, None if run is None else str(run), read_event(json.dumps(content)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ValidationError):
        return None


class Journal:
    """Appends to a study's `progress.jsonl` while a command makes runs.

    Args:
        out: the study's folder.
        workers: how many runs are made at once.
    """

    def __init__(self, out: Path, workers: int):
        self._out, self._path, self._workers = out, out / PROGRESS, workers
        self._file: IO[bytes] | None = None
        self._last = 0.0
        self._steps: dict[str, float] = {}

    def __enter__(self) -> Self:
        process = psutil.Process()
        began = Driving(
            host=socket.gethostname(), process=process.pid, started=process.create_time(), workers=self._workers
        )
        self._write(began)
        return self

    def __exit__(self, *error: object) -> None:
        self._write(Driven())
        self._close()

    def placed(self, job: "Job") -> None:
        """Note that a job was given to the executor."""
        run, folder = job.run, Path(job.folder)
        inside = folder.relative_to(self._out) if folder.is_relative_to(self._out) else folder
        event = Placed(
            folder=inside.as_posix(),
            model=run.model,
            task=run.task.name,
            technique=run.technique,
            label=run.label,
            seed=run.seed,
            until_epoch=job.until_epoch,
            trial=job.trial,
        )
        self._steps[run.id] = 0.0
        self._write(event, run.id)

    def observe(self, job: "Job", event: Event) -> None:
        """Note what happened in a run; of its steps one now and then."""
        run = job.run.id
        if isinstance(event, Step | BatchDone):
            now = time.monotonic()
            if now - self._steps.get(run, 0.0) < max(_STEP_SECONDS, len(self._steps) / _AT_ONCE):
                return
            self._steps[run] = now
        elif event.event == "result":
            self._steps.pop(run, None)
        self._write(event, run)

    def beat(self) -> None:
        """Give a sign of life, if the last one is long ago."""
        if time.monotonic() - self._last > BEAT:
            self._last = time.monotonic()
            with suppress(OSError):
                os.utime(self._path)

    def _write(self, event: Event, run: str | None = None) -> None:
        content = json.loads(line_of(event))
        line = json.dumps({"time": content.pop("time"), **({"run": run} if run else {}), **content}).encode()
        self._last = time.monotonic()
        try:
            file = self._file or self._opened()
            file.write(line + b"\n")
            if file.tell() > _LARGEST:
                self._close()
                self._path.replace(self._out / EARLIER)
        except OSError:  # a full disk: whatever needs its files says so
            self._close()

    def _opened(self) -> IO[bytes]:
        """The file; a line that a killed process or a full disk left unfinished is ended."""
        self._file = file = self._path.open("ab", buffering=0)
        if file.tell():
            file.write(b"\n")
        return file

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None
