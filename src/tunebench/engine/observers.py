"""Observers of a run's events: a file, a tracker, the display of the parent process."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tunebench.engine.events import BatchDone, EpochEnded, Event, Observer, Step, line_of

_STEP_SECONDS = 0.2  # between two steps that are passed on: the loop must not wait for its observers


def to_all(observers: Sequence[Observer]) -> Observer:
    """One observer that passes each event on to several."""

    def observe(event: Event) -> None:
        for observer in observers:
            observer(event)

    return observe


def event_file(path: Path) -> Observer:
    """Appends to `events.jsonl`, one JSON object per line, without steps and batches."""

    def observe(event: Event) -> None:
        if not isinstance(event, Step | BatchDone):
            with path.open("a") as file:
                file.write(line_of(event))

    return observe


def seldom(observer: Observer) -> Observer:
    """Passes on all events except steps and batches that follow the last event too closely."""
    last = 0.0

    def observe(event: Event) -> None:
        nonlocal last
        now = time.monotonic()
        if not isinstance(event, Step | BatchDone) or now - last >= _STEP_SECONDS:
            last = now
            observer(event)

    return observe


@contextmanager
def tracking(accelerator: Accelerator, name: str, settings: dict[str, Any], observe: Observer) -> Iterator[Observer]:
    """Adds accelerate's tracker, if requested, to an observer: losses by step, scores by epoch."""
    if not accelerator.log_with:
        yield observe
        return
    accelerator.init_trackers(name, config=settings)

    def log(event: Event) -> None:
        if isinstance(event, Step):
            accelerator.log({"train/loss": event.loss}, step=event.step)
        elif isinstance(event, EpochEnded):
            accelerator.log({f"validation/{k}": v for k, v in event.validation.items()}, step=event.epoch)

    try:
        yield to_all([observe, log])
    finally:
        accelerator.end_training()
