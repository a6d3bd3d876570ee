"""Who is told what happens in a run: a file of events, a tracker, the display of the parent process."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator

Event = dict[str, Any]
Observer = Callable[[Event], None]

_STEP_SECONDS = 0.2  # a step is told at most so often: the loop must not wait for its audience


def tell_all(observers: Sequence[Observer]) -> Observer:
    """One observer that passes each event on to several."""

    def observe(event: Event) -> None:
        for observer in observers:
            observer(event)

    return observe


def event_file(path: Path) -> Observer:
    """Appends to `events.jsonl`, one JSON object a line with its Unix time in seconds; steps are left out."""

    def observe(event: Event) -> None:
        if event["event"] != "step":
            with path.open("a") as file:
                file.write(json.dumps({"time": round(time.time(), 3), **event}) + "\n")

    return observe


def seldom(observer: Observer) -> Observer:
    """Passes on all events but those steps that follow the last one too closely."""
    last = 0.0

    def observe(event: Event) -> None:
        nonlocal last
        now = time.monotonic()
        if event["event"] != "step" or now - last >= _STEP_SECONDS:
            last = now
            observer(event)

    return observe


@contextmanager
def tracking(accelerator: Accelerator, name: str, settings: dict[str, Any], observe: Observer) -> Iterator[Observer]:
    """Adds accelerate's tracker, where one was asked for, to an observer: losses by step, scores by epoch."""
    if not accelerator.log_with:
        yield observe
        return
    accelerator.init_trackers(name, config=settings)

    def log(event: Event) -> None:
        if event["event"] == "step":
            accelerator.log({"train/loss": event["loss"]}, step=event["step"])
        elif event["event"] == "epoch":
            accelerator.log({f"validation/{k}": v for k, v in event["validation"].items()}, step=event["epoch"])

    try:
        yield tell_all([observe, log])
    finally:
        accelerator.end_training()
