"""The progress of a study or a pretraining, from its events: bars on a terminal, plain lines elsewhere."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tunebench._util.visible import escaped
from tunebench.cli.cell_output import CellOutput, in_cell
from tunebench.cli.printing import say
from tunebench.engine.events import (
    BatchDone,
    CheckpointDamaged,
    EpochEnded,
    Event,
    LearningTokenizer,
    Reading,
    ResultWritten,
    Resumed,
    Step,
    Tokenising,
)
from tunebench.records import Paused
from tunebench.run.forecast import Forecast
from tunebench.study import Run

_LINE_SECONDS = 30.0  # between two plain lines on the steps of one run


def name_of(run: Run, with_model: bool = False) -> str:
    """What lines and bars call a run; with the model where a study compares several."""
    return f"{f'{run.model} · ' * with_model}{run.task.name} · {run.label} · seed {run.seed}"


@contextmanager
def display_on(console: Console, runs: int | None = None, forecast: Forecast | None = None) -> "Iterator[Lines | Bars]":
    """Bars where a person watches, also in a notebook; lines where a file or a pipe does.

    Args:
        console: where.
        runs: how many results are to come; None for a single piece of work without a result.
        forecast: says how long the study still takes; None: every run as long as any other.
    """
    forecast = forecast or Forecast(runs or 0)
    if console.is_jupyter:
        with in_cell(_progress_on(Console(file=io.StringIO(), record=True, width=110, force_jupyter=False))) as cell:
            yield BarsInCell(cell, runs, forecast)
    elif not console.is_terminal:
        yield Lines(console, runs, forecast)
    else:
        with _progress_on(console) as progress:
            yield Bars(progress, runs, forecast)


def _progress_on(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        _TimeLeft(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        speed_estimate_period=300,
    )


class _TimeLeft(TimeRemainingColumn):
    """The time left by the study's forecast; of a single run or pass, by its own pace."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return super().render(task) if left is None else Text(_span(left), style="progress.remaining")


class Lines:
    """A line for each start, epoch, reading and end, and for a step now and then: for logs."""

    def __init__(self, console: Console, runs: int | None, forecast: Forecast):
        self._console, self._runs, self._forecast = console, runs, forecast
        self._ended = 0
        self._paces: dict[str, _Pace] = {}

    def show(self, key: str, name: str, event: Event) -> None:
        """Print what is worth a line.

        Args:
            key: which run or pretraining this is.
            name: what to call it.
            event: what happened in it.
        """
        self._forecast.observe(key, event)
        if isinstance(event, ResultWritten):
            self._ended += 1
            self._paces.pop(key, None)
            count = f"{self._ended}/{self._runs}" if self._runs else f"{self._ended}"
            left = self._forecast.left
            self.say(f"[{count}] {name}: {_outcome(event)}" + ("" if left is None else f" (about {_span(left)} left)"))
        elif isinstance(event, Step | BatchDone):
            phase, done, total = _position(event)
            pace = self._paces.get(key)
            if pace is None or pace.phase != phase:
                pace = self._paces[key] = _Pace(phase, done)
            if pace.due():
                self.say(f"  {name}: {_step(event)}, about {_span(pace.left(done, total))} left")
        else:
            line = _line(event)
            if line:
                self.say(f"  {name}: {line}")

    def say(self, line: str) -> None:
        """Print what no event says."""
        self._console.print(escaped(line), markup=False, highlight=False, soft_wrap=True)


class Bars:
    """One bar per running run, and one for the study, if there is one."""

    def __init__(self, progress: Progress, runs: int | None, forecast: Forecast):
        self._progress, self._forecast = progress, forecast
        self._study = progress.add_task("runs", total=runs, note="") if runs is not None else None
        self._ended = 0
        self._bars: dict[str, TaskID] = {}
        self._phases: dict[str, str] = {}
        self._shares: dict[str, float] = {}
        self._scores: dict[str, str] = {}

    def show(self, key: str, name: str, event: Event) -> None:
        """Move the bars; see `Lines.show`."""
        self._forecast.observe(key, event)
        if isinstance(event, ResultWritten):
            self.say(f"{name}: {_outcome(event)}")
            self._ended += 1
            for kept in (self._shares, self._scores, self._phases):
                kept.pop(key, None)
            if key in self._bars:
                self._progress.remove_task(self._bars.pop(key))
        elif isinstance(event, EpochEnded):
            self._scores[key] = _scores(event, 1)
        elif isinstance(event, Reading):
            self._scores[key] = f"held-out perplexity {event.perplexity:.2f}"
        elif isinstance(event, Step | BatchDone):
            self._move(key, name, event)
        elif key in self._bars or self._study is None:
            self._progress.update(self._bar(key, name), note=_line(event))
        if self._study is not None:
            completed = self._ended + sum(self._shares.values())
            self._progress.update(self._study, completed=completed, left=self._forecast.left)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(escaped(line), markup=False, highlight=False)

    def _move(self, key: str, name: str, event: Step | BatchDone) -> None:
        phase, done, total = _position(event)
        if self._phases.get(key) != phase:  # the time left is that of the phase
            if key in self._bars:
                self._progress.remove_task(self._bars.pop(key))
            self._phases[key] = phase
        note = phase
        if isinstance(event, Step):
            self._shares[key] = done / total
            note = f"{_epoch(event)}loss {event.loss:.3f} {self._scores.get(key, '')}"
        self._progress.update(self._bar(key, name), completed=done, total=total, note=note)

    def _bar(self, key: str, name: str) -> TaskID:
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(escaped(name), total=None, note="")
        return self._bars[key]


class BarsInCell(Bars):
    """The same as a notebook's output."""

    def __init__(self, cell: CellOutput, runs: int | None, forecast: Forecast):
        super().__init__(cell.progress, runs, forecast)
        self._cell = cell

    def show(self, key: str, name: str, event: Event) -> None:
        """Move the bars; see `Lines.show`."""
        super().show(key, name, event)
        self._cell.redraw()

    def say(self, line: str) -> None:
        """Print a line."""
        say(line)


class _Pace:
    """How fast one phase goes, and when it is due another line."""

    def __init__(self, phase: str, done: int):
        self.phase, self._first = phase, done
        self._start = self._last = time.monotonic()

    def due(self) -> bool:
        if time.monotonic() - self._last < _LINE_SECONDS:
            return False
        self._last = time.monotonic()
        return True

    def left(self, done: int, total: int) -> float:
        return (time.monotonic() - self._start) / (done - self._first) * (total - done)


def _position(event: Step | BatchDone) -> tuple[str, int, int]:
    """The phase ("" is training), what is done of it, and its whole."""
    return ("", event.step, event.steps) if isinstance(event, Step) else (event.phase, event.batch, event.batches)


def _outcome(event: ResultWritten) -> str:
    if event.reason == Paused.TRIAL:
        return "tried"
    return event.status.replace("_", " ") + (f": {event.reason}" if event.reason else "")


def _line(event: Event) -> str:
    match event:
        case EpochEnded():
            return f"epoch {event.epoch}, loss {event.train_loss:.4f}, {_scores(event)}"
        case Resumed():
            return f"continues from step {event.step}"
        case CheckpointDamaged():
            return (
                f"its checkpoint {event.checkpoint} is damaged; training goes back to an earlier one, or starts again"
            )
        case Reading():
            losses = ", ".join(f"{name} {loss:.4f}" for name, loss in event.held_out.items())
            return f"{event.tokens:,} tokens: held-out {losses}; perplexity {event.perplexity:.2f}"
        case LearningTokenizer():
            return "trains the tokenizer"
        case Tokenising():
            return f"tokenises the {event.part.replace('_', '-')} texts"
        case _:
            return ""


def _scores(event: EpochEnded, most: int | None = None) -> str:
    scores = list(event.validation.items())[:most]  # the main metric stands first
    return ", ".join(f"{name} undefined" if value is None else f"{name} {value:.4f}" for name, value in scores)


def _step(event: Step | BatchDone) -> str:
    if isinstance(event, BatchDone):
        return f"{event.phase}, batch {event.batch}/{event.batches}"
    return f"{_epoch(event)}step {event.step}/{event.steps}, loss {event.loss:.4f}"


def _epoch(event: Step) -> str:
    return "" if event.epoch is None else f"epoch {event.epoch}/{event.epochs}, "


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
