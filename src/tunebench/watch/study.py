"""A study as its folder shows it: plan, results, and what its command is at."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tunebench._util.errors import UserError
from tunebench.engine.events import ResultWritten, Resumed, Step, Testing
from tunebench.records import Done, Epoch, Failed, Plan, PlannedRun, Result, read_result
from tunebench.report.read.comparisons import Row
from tunebench.report.read.study import read_study
from tunebench.run.forecast import Forecast, Size, size_of
from tunebench.run.journal import EARLIER, PROGRESS, progress_line
from tunebench.watch.tail import Tail
from tunebench.watch.work import AtWork, Work

State = Literal["absent", "running", "interrupted", "ended"]
_UNREAD = (0, 0)


@dataclass
class History:
    """The epochs of a run that has no result yet, from its own `events.jsonl`."""

    tail: Tail
    epochs: list[Epoch] = field(default_factory=list)

    def refresh(self) -> None:
        """Read what is new: an epoch takes the place of the one of its number, and of those after it."""
        for line in self.tail.lines():
            try:
                content = json.loads(line)
                if content.pop("event") != "epoch":
                    continue
                del content["time"]
                ended = Epoch.model_validate(content)
            except (ValueError, TypeError, AttributeError, KeyError, ValidationError):
                continue
            self.epochs = [one for one in self.epochs if one.epoch < ended.epoch] + [ended]


class WatchedStudy:
    """A study's folder, read again by `refresh`; nothing is written.

    Attributes:
        folder: where it is, or will be.
        plan: None while there is none that can be read.
        trouble: why there is none, in a sentence.
        work: what its command is at.
        live: whether a command makes runs now.
        runs: the planned ones, each once.
        results: by run, of those that have one.
        statuses: by run.
        version: changes with every result.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.plan: Plan | None = None
        self.trouble = ""
        self.work = Work()
        self.live = False
        self.version = 0
        self.runs: list[PlannedRun] = []
        self.results: dict[str, Result] = {}
        self.statuses: dict[str, str] = {}
        self.titles: dict[tuple[str, str, str], str] = {}
        self.histories: dict[str, History] = {}
        self._planned_at = _UNREAD
        self._stamps: dict[str, tuple[int, int]] = {}
        self._earlier, self._progress = Tail(folder / EARLIER), Tail(folder / PROGRESS)
        self._was_live = True

    def refresh(self) -> None:
        """Look at the folder."""
        self._read_plan()
        earlier = [] if self.work.lines else self._earlier.lines()  # later the tail reads on where it is renamed
        lines = earlier + self._progress.lines()
        self.work.heard(known for line in lines if (known := progress_line(line)) is not None)
        self.live = self.work.lives(self.folder / PROGRESS)
        self._read_results()
        self._read_histories()
        self.statuses = {run.id: self._status(run) for run in self.runs}

    @property
    def state(self) -> State:
        """Whether a command makes runs, and if not, whether all runs have a result."""
        if self.live:
            return "running"
        if self.plan is None:
            return "absent"
        return "ended" if all(run.id in self.results for run in self.runs) else "interrupted"

    def _status(self, run: PlannedRun) -> str:
        """Of a run: running, its result's, interrupted, or pending."""
        if self.live and f"runs/{run.id}" in self.work.at_work:
            return "running"
        result = self.results.get(run.id)
        if isinstance(result, Failed) and result.by_hand:
            return result.by_hand
        if result is not None:
            return result.status.replace("_", " ")
        return "interrupted" if self.history(run) else "pending"

    def history(self, run: PlannedRun) -> list[Epoch]:
        """The epochs of a run so far."""
        result = self.results.get(run.id)
        if isinstance(result, Done):
            return result.history
        known = self.histories.get(f"runs/{run.id}")
        return known.epochs if known else []

    def counts(self) -> Counter[str]:
        """How many runs have which status."""
        return Counter(self.statuses.values())

    def left(self) -> float | None:
        """Seconds until the planned runs have ended, if that can be said."""
        work = self.work
        if not self.live or self.plan is None or any(one.placed.trial for one in work.at_work.values()):
            return None
        now = [work.began]
        here = {one.placed.folder.rpartition("/")[2]: one for one in work.at_work.values()}
        waiting = [run for run in self.runs if run.id in here or run.id in work.ended or self._is_due(run)]
        workers = work.driving.workers if work.driving else 1
        forecast = Forecast(len(waiting), workers, self._sizes(waiting), clock=lambda: now[0])
        for run in work.ended:
            forecast.observe(run, ResultWritten(status="done"))
        for run, one in here.items():
            _observe(forecast, run, one)
        now[0] = time.time()
        return forecast.left

    def _is_due(self, run: PlannedRun) -> bool:
        result = self.results.get(run.id)
        return result is None or result.status in ("failed", "paused")

    def _sizes(self, runs: list[PlannedRun]) -> dict[str, Size]:
        assert self.plan is not None
        cells = {(cell.model, cell.task, cell.label): cell for cell in self.plan.cells}
        data = {one.task: one for one in self.plan.data}
        sizes = {}
        for run in runs:
            cell = cells.get((run.model, run.task, run.label))
            sizes[run.id] = size_of(cell, data.get(run.task), (cell.epochs if cell else None) or 1)
        return sizes

    def _read_plan(self) -> None:
        stamp = _stamp(self.folder / "plan.json")
        if stamp == self._planned_at and stamp != _UNREAD:
            return
        self._planned_at = stamp
        try:
            self.plan, self.trouble = read_study(self.folder).plan, ""
        except (UserError, OSError) as error:
            self.plan, self.trouble = None, str(error)
        self.runs = list({run.id: run for run in self.plan.runs}.values()) if self.plan else []
        cells = self.plan.cells if self.plan else ()
        self.titles = {(cell.model, cell.task, cell.label): Row(cell.label, cell, ()).name for cell in cells}
        self.version += 1

    def _read_results(self) -> None:
        for run in self.runs:
            folder = self.folder / "runs" / run.id
            stamp = _stamp(folder / "result.json")
            if stamp == self._stamps.get(run.id, _UNREAD):
                continue
            self._stamps[run.id] = stamp
            self.version += 1
            result = read_result(folder)
            if result is None:
                self.results.pop(run.id, None)
            else:
                self.results[run.id] = result

    def _read_histories(self) -> None:
        """Of runs at work; and once, where a command has ended, of those that it left without a result."""
        folders = [one.placed.folder for one in self.work.at_work.values() if not one.placed.trial]
        if not self.live and self._was_live:
            folders += [f"runs/{run.id}" for run in self.runs if run.id not in self.results]
        self._was_live = self.live
        for folder in folders:
            events = self.folder / folder / "events.jsonl"
            if folder not in self.histories and events.is_file():
                self.histories[folder] = History(Tail(events))
            if folder in self.histories:
                self.histories[folder].refresh()


def _observe(forecast: Forecast, run: str, one: AtWork) -> None:
    if one.resumed:
        forecast.observe(run, Resumed(step=one.resumed))
    if one.steps:
        forecast.observe(run, Step(step=one.step, steps=one.steps, loss=0.0))
    if one.phase == "is tested":
        forecast.observe(run, Testing())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        there = path.stat()
    except OSError:
        return _UNREAD
    return there.st_mtime_ns, there.st_size
