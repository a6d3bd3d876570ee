"""Pretraining's progress: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tunebench.engine.observers import Event, Observer

_LINE_SECONDS = 30.0
_PREPARING = {"tokenizer": "learning the tokenizer", "tokenising": "tokenising the {part} texts"}


@contextmanager
def display_on(console: Console, name: str) -> Iterator[Observer]:
    """What to tell events: bars where a person watches, lines where a file or a pipe does."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    with Progress(*columns, console=console, speed_estimate_period=300) as progress:
        yield _Bar(progress, name)


class _Lines:
    def __init__(self, console: Console):
        self._console = console
        self._last = self._start = time.monotonic()
        self._first: int | None = None

    def __call__(self, event: Event) -> None:
        kind, now = event["event"], time.monotonic()
        if kind == "step":
            if self._first is None:
                self._first, self._start = event["step"] - 1, now
            if now - self._last < _LINE_SECONDS:
                return
            self._last = now
            pace = (now - self._start) / max(1, event["step"] - self._first)
            minutes = pace * (event["steps"] - event["step"]) / 60
            self._say(f"step {event['step']}/{event['steps']}, loss {event['loss']:.3f}, about {minutes:.0f} min left")
        else:
            self._say(_told(event))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, progress: Progress, name: str):
        self._progress = progress
        self._task = progress.add_task(name, total=None, note="")
        self._held_out = ""

    def __call__(self, event: Event) -> None:
        if event["event"] == "step":
            note = f"loss {event['loss']:.3f} {self._held_out}"
            self._progress.update(self._task, total=event["steps"], completed=event["step"], note=note)
        elif event["event"] == "reading":
            self._held_out = f"held-out perplexity {event['perplexity']:.2f}"
        else:
            self._progress.update(self._task, note=_told(event))


def _told(event: Event) -> str:
    kind = event["event"]
    if kind == "reading":
        losses = ", ".join(f"{name} {loss:.4f}" for name, loss in event["held_out"].items())
        return f"{event['tokens']:,} tokens: held-out {losses}; perplexity {event['perplexity']:.2f}"
    if kind == "resumed":
        return f"goes on from step {event['step']}"
    return _PREPARING[kind].format(**event)
