"""What a study's runs are at, from the lines of `progress.jsonl`."""

import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tunebench.engine.events import (
    BatchDone,
    Driven,
    Driving,
    EpochEnded,
    Event,
    Generating,
    Placed,
    ResultWritten,
    Resumed,
    Step,
    Testing,
)
from tunebench.run.journal import BEAT, ProgressLine

_POINTS = 400  # of a run's loss
_LINES = 200  # of what happened
_SILENT = 12 * BEAT  # seconds after which a command on another machine counts as ended


@dataclass
class AtWork:
    """A run at work.

    Attributes:
        placed: what it is.
        since: Unix time at which it was placed.
        phase: what it does now.
        done: of `total` steps or batches of the phase.
        begun: time and `done` at the first of them, for the pace.
        resumed: the step after which its training goes on.
        step: of the training's `steps`; 0 before the first one.
        loss: of the last step.
        losses: step and loss.
    """

    placed: Placed
    since: float
    phase: str = "starts"
    done: int = 0
    total: int = 0
    begun: tuple[float, int] | None = None
    epoch: tuple[int, int] | None = None
    resumed: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)

    def heard(self, when: float, event: Event) -> None:
        """Take note of an event."""
        match event:
            case Step():
                self._moved("trains", when, event.step, event.steps)
                self.step, self.steps, self.loss = event.step, event.steps, event.loss
                self.losses.append((event.step, event.loss))
                if len(self.losses) > _POINTS:
                    del self.losses[1::2]
                if event.epoch is not None and event.epochs is not None:
                    self.epoch = event.epoch, event.epochs
            case BatchDone():
                self._moved(event.phase, when, event.batch, event.batches)
            case Resumed():
                self.resumed = event.step
            case Testing():
                self._moved("is tested", when, 0, 0)
            case Generating():
                self._moved("writes answers", when, 0, 0)
            case _:
                pass

    def left(self, now: float) -> float | None:
        """Seconds of the phase by its own pace."""
        if self.begun is None or self.done <= self.begun[1]:
            return None
        began, first = self.begun
        return max(0.0, (now - began) / (self.done - first) * (self.total - self.done))

    def _moved(self, phase: str, when: float, done: int, total: int) -> None:
        if phase != self.phase or done < self.done:
            self.begun = (when, done)
        self.phase, self.done, self.total = phase, done, total


class Work:
    """A study's command, as its lines tell.

    Attributes:
        at_work: by the run's folder in the study's folder.
        began: Unix time at which it began.
        ended: the runs that have ended since.
        happened: the newest lines that are worth reading.
        lines: how many were heard, so that a reader sees what is new.
    """

    def __init__(self) -> None:
        self.at_work: dict[str, AtWork] = {}
        self.driving: Driving | None = None
        self.began = 0.0
        self.ended: list[str] = []
        self.happened: deque[tuple[float, str]] = deque(maxlen=_LINES)
        self.lines = 0
        self._folders: dict[str, str] = {}

    def heard(self, lines: Iterable[ProgressLine]) -> None:
        """Take note of lines, in their order."""
        for line in lines:
            self.lines += 1
            if isinstance(line.event, Driving):
                self.driving, self.began = line.event, line.time
                self.at_work.clear()
                self.ended.clear()
            elif isinstance(line.event, Driven):
                self.driving = None
                self.at_work.clear()
            elif line.run is not None:
                self._of_run(line, line.run)

    def _of_run(self, line: ProgressLine, run: str) -> None:
        event = line.event
        if isinstance(event, Placed):
            self._folders[run] = event.folder
            self.at_work[event.folder] = AtWork(event, line.time)
        folder = self._folders.setdefault(run, f"runs/{run}")
        if folder not in self.at_work:  # the line that placed it is older than the file
            self.at_work[folder] = AtWork(_unnamed(run, folder), line.time)
        one = self.at_work[folder]
        one.heard(line.time, event)
        words = _words(event)
        if words:
            self.happened.append((line.time, f"{name_of(one.placed)}: {words}"))
        if isinstance(event, ResultWritten):
            del self.at_work[folder]
            self.ended.append(run)

    def lives(self, progress: Path) -> bool:
        """Whether the command that was heard last makes runs now.

        On this machine its process says so; on another one the time of `progress.jsonl`.
        """
        driving = self.driving
        if driving is None:
            return False
        if driving.host == socket.gethostname():
            try:
                return abs(psutil.Process(driving.process).create_time() - driving.started) < 2
            except psutil.Error:
                return False
        try:
            return time.time() - progress.stat().st_mtime < _SILENT
        except OSError:
            return False


def name_of(placed: Placed) -> str:
    """What lines call a run."""
    if not placed.label:
        return placed.task
    return f"{placed.task} · {placed.label} · seed {placed.seed}{' (a trial)' if placed.trial else ''}"


def _unnamed(run: str, folder: str) -> Placed:
    return Placed(folder=folder, model="", task=run, technique="", label="", seed=0)


def _words(event: Event) -> str:
    match event:
        case Placed():
            return "starts"
        case EpochEnded():
            scores = ", ".join(
                f"{name} {'undefined' if value is None else f'{value:.4f}'}" for name, value in event.validation.items()
            )
            loss = "" if event.train_loss is None else f", loss {event.train_loss:.4f}"
            return f"epoch {event.epoch}{loss}, {scores}"
        case Resumed():
            return f"continues from step {event.step}"
        case Testing():
            return "is tested"
        case ResultWritten():
            return event.status.replace("_", " ") + (f": {event.reason}" if event.reason else "")
        case _:
            return ""
