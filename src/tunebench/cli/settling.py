"""Settling a study's `epochs: auto` before its runs are made, with what is said meanwhile."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.printing import say

if TYPE_CHECKING:
    from tunebench.records import SettledEpochs
    from tunebench.run.epochs import Settling
    from tunebench.run.timing import Turn
    from tunebench.study import Run


def settled(opened: OpenedStudy, out: Path) -> OpenedStudy:
    """The study with a number of epochs for each technique; what the folder does not have is measured.

    The folder is locked.

    Raises:
        UserError: a reference is not applicable, or cannot be measured.
    """
    from tunebench.run.epochs import settling

    known = settling(opened.study, opened.places, out)
    if known.missing:
        _measure(opened, known, out)
        known = settling(opened.study, opened.places, out)
        for _, one in known.known:
            say(f"{one.task} · {one.label}: {in_words(one)}")
    return with_epochs(opened, known)


def with_epochs(opened: OpenedStudy, known: "Settling") -> OpenedStudy:
    """The study with the numbers that are known."""
    study = known.study(opened.study)
    return replace(opened, study=study, runs=study.runs())


def in_words(one: "SettledEpochs") -> str:
    """A number of epochs and where it comes from."""
    from tunebench.report import text

    epochs = plural(one.epochs, "epoch")
    if one.pace is None:
        return f"{epochs}, as {one.reference}, because it could not be measured: {one.reason}"
    took, allowed = one.pace.seconds(one.epochs), one.allowed_seconds
    return f"{epochs} in about {text.seconds(took)}; {one.reference_epochs} of {one.reference}: {text.seconds(allowed)}"


def _measure(opened: OpenedStudy, known: "Settling", out: Path) -> None:
    from tunebench.records import EPOCHS
    from tunebench.report import text
    from tunebench.run.epochs import settle, turns_in
    from tunebench.run.timing import QUIET

    total, start, count, busiest = turns_in(known.missing), time.monotonic(), 0, 0.0
    say(f"Settling epochs: auto. Timing {plural(len(known.missing), 'technique')}, 20 steps each, side by side ...")

    def show(run: "Run", turn: "Turn") -> None:
        nonlocal count, busiest
        count, busiest = count + 1, max(busiest, turn.busy_cores)
        left = (time.monotonic() - start) / count * (total - count)
        taken = f"{text.latency(turn.seconds)} per step" if turn.reason is None and not turn.skipped else turn.reason
        words = taken or "it failed before"
        say(f"[{count}/{total}] {run.task.name} · {run.label}: {words} (about {text.seconds(left)} left)")

    settle(known.missing, opened.places, out, show)
    if busiest > QUIET:
        say(
            f"The machine was not quiet: other processes kept up to {busiest:.1f} cores busy. The numbers below stay; "
            f"to settle them again on a quiet moment, remove {out / EPOCHS}."
        )
