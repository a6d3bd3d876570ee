"""A study's progress: bars on a terminal, plain lines elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tunebench.study import Run

_LINE_SECONDS = 30.0  # between two plain lines of one run


def name_of(run: Run) -> str:
    """How a run is called in lines and bars."""
    return f"{run.task.name} · {run.label} · seed {run.seed}"


class Lines:
    """One line for each start, epoch and end, and now and then a step: for logs."""

    def __init__(self, console: Console, total: int):
        self._console, self._total = console, total
        self._ended, self._start = 0, time.monotonic()
        self._last: dict[int, float] = {}

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is to be undone."""

    def event(self, worker: int, run: Run, event: dict[str, Any]) -> None:
        """Print what is worth a line."""
        if event["event"] == "result":
            self._ended += 1
            left = (time.monotonic() - self._start) / self._ended * (self._total - self._ended)
            self._say(f"[{self._ended}/{self._total}] {name_of(run)}: {_outcome(event)} (about {_span(left)} left)")
        elif event["event"] == "epoch":
            self._say(f"  {name_of(run)}: epoch {event['epoch']}, loss {event['train_loss']:.4f}, {_scores(event)}")
        elif event["event"] == "resumed":
            self._say(f"  {name_of(run)}: goes on from step {event['step']}")
        elif event["event"] == "step" and time.monotonic() - self._last.get(worker, self._start) > _LINE_SECONDS:
            self._last[worker] = time.monotonic()
            self._say(f"  {name_of(run)}: {_step(event)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """One bar for the study and one for each worker's run."""

    def __init__(self, console: Console, total: int):
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self._study = self._progress.add_task("runs", total=total, note="")
        self._ended = 0
        self._bars: dict[int, Any] = {}
        self._runs: dict[int, str] = {}
        self._shares: dict[int, float] = {}
        self._scores: dict[int, str] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def event(self, worker: int, run: Run, event: dict[str, Any]) -> None:
        """Move the bars."""
        if event["event"] == "result":
            self._progress.console.print(f"{name_of(run)}: {_outcome(event)}", markup=False, highlight=False)
            self._ended += 1
            for kept in (self._shares, self._scores, self._runs):
                kept.pop(worker, None)
            if worker in self._bars:
                self._progress.remove_task(self._bars.pop(worker))
        elif event["event"] == "epoch":
            self._scores[worker] = _scores(event, 1)
        elif event["event"] == "step":
            self._step(worker, run, event)
        self._progress.update(self._study, completed=self._ended + sum(self._shares.values()))

    def _step(self, worker: int, run: Run, event: dict[str, Any]) -> None:
        phase = event.get("phase", "")
        if self._runs.get(worker) != run.id + phase:
            if worker in self._bars:
                self._progress.remove_task(self._bars.pop(worker))
            self._runs[worker] = run.id + phase
            self._bars[worker] = self._progress.add_task(name_of(run), total=event["steps"], note=phase)
        note = phase
        if not phase:
            self._shares[worker] = event["step"] / event["steps"]
            note = f"epoch {event['epoch']}/{event['epochs']}, loss {event['loss']:.3f} {self._scores.get(worker, '')}"
        self._progress.update(self._bars[worker], completed=event["step"], note=note)


def display_on(console: Console, total: int) -> Lines | Bars:
    """Bars where a person watches, lines where a file or a pipe does."""
    return Bars(console, total) if console.is_terminal else Lines(console, total)


def _outcome(event: dict[str, Any]) -> str:
    return event["status"].replace("_", " ") + (f": {event['reason']}" if event["reason"] else "")


def _scores(event: dict[str, Any], most: int | None = None) -> str:
    scores = list(event["validation"].items())[:most]  # the main metric stands first
    return ", ".join(f"{name} undefined" if value is None else f"{name} {value:.4f}" for name, value in scores)


def _step(event: dict[str, Any]) -> str:
    if "phase" in event:
        return f"{event['phase']}, batch {event['step']}/{event['steps']}"
    return f"epoch {event['epoch']}/{event['epochs']}, step {event['step']}/{event['steps']}, loss {event['loss']:.4f}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
