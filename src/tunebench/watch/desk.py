"""Everything that the page shows now, looked up once for all browsers that watch."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done
from tunebench.report import text
from tunebench.serve.playground.routes import Contestant
from tunebench.study import read_run
from tunebench.techniques import techniques
from tunebench.techniques.base import Technique
from tunebench.watch import machine, parts
from tunebench.watch.reporting import Made, Reporter
from tunebench.watch.study import WatchedStudy

_YOUNG = 0.9  # seconds for which a look is shared
_REST = 10.0  # times what the last report took: so long a study runs undisturbed before the next one
_LEAST_REST = 20.0
_DRAWN = 2.5  # seconds between two charts of a run at work


@dataclass
class _Report:
    """The newest report on a study, and of which version it is."""

    made: Made
    version: int
    again: float


@dataclass
class _Slow:
    """What takes long where a study has many runs, and changes seldom: as JSON, and what it was made of."""

    runs: str = ""
    charts: str = ""
    version: object = None
    heard: object = None
    drawn: float = 0.0

    def refresh(self, study: WatchedStudy) -> None:
        """Make what has changed."""
        version = (study.version, study.live, frozenset(study.work.at_work))
        changed = version != self.version
        heard = study.work.lines, sum(len(one.epochs) for one in study.histories.values())
        grown = heard != self.heard and time.monotonic() - self.drawn > _DRAWN
        if changed:
            self.version, self.runs = version, parts.as_json(parts.runs(study))
        if changed or grown:
            self.heard, self.drawn = heard, time.monotonic()
            self.charts = parts.as_json(parts.charts(study))


class Desk:
    """Studies and their reports, for several threads.

    Args:
        outs: the studies' folders.
    """

    def __init__(self, outs: Sequence[Path]):
        self.studies = [WatchedStudy(out) for out in outs]
        self._reporter = Reporter()
        self._reports: dict[int, _Report] = {}
        self._one, self._reporting = threading.Lock(), threading.Lock()
        self._looked = float("-inf")
        self._shown: dict[str, str] = {}
        self._slow = [_Slow() for _ in outs]
        self._contestants: tuple[tuple[int, ...], list[Contestant]] | None = None

    def look(self) -> Mapping[str, str]:
        """Every part of the page as JSON, by its name; -1 stands for the machine."""
        with self._one:
            if time.monotonic() - self._looked > _YOUNG:
                self._shown = self._look()
                self._looked = time.monotonic()
            return self._shown

    def _look(self) -> dict[str, str]:
        found = {"-1 machine": parts.as_json(machine.load())}
        for number, study in enumerate(self.studies):
            study.refresh()
            for name, content in parts.now(study).items():
                found[f"{number} {name}"] = parts.as_json(content)
            slow = self._slow[number]
            slow.refresh(study)
            found |= {f"{number} runs": slow.runs, f"{number} charts": slow.charts}
        return found

    def report(self, number: int) -> tuple[Made, bool]:
        """A study's report, and whether it has all results: while a study runs, a report of a while ago may do."""
        study = self.studies[number]
        with self._reporting:
            known = self._reports.get(number)
            if known and (known.version == study.version or (study.live and time.monotonic() < known.again)):
                return known.made, known.version == study.version
            version, began = study.version, time.monotonic()
            made = self._reporter.made(study.folder)
            took = time.monotonic() - began
            self._reports[number] = _Report(made, version, time.monotonic() + max(_LEAST_REST, _REST * took))
            return made, version == study.version

    def contestants(self) -> list[Contestant]:
        """The finished runs for the playground: of each technique the one that is best on validation."""
        self.look()
        with self._one:
            version = tuple(study.version for study in self.studies)
            if self._contestants is None or self._contestants[0] != version:
                found = [one for number, study in enumerate(self.studies) for one in self._of(number, study)]
                self._contestants = version, found
            return self._contestants[1]

    def _of(self, number: int, study: WatchedStudy) -> list[Contestant]:
        best: dict[tuple[str, str, str], Done] = {}
        for run in study.runs:
            done = study.results.get(run.id)
            if isinstance(done, Done):
                key = (run.task, run.model, run.label)
                best[key] = max(best.get(key, done), done, key=_validation)
        several = len(self.studies) > 1
        found = []
        for (task, model, label), done in best.items():
            cell = f"{study.plan.study if study.plan and several else ''}{': ' if several else ''}{task} with {model}"
            title = study.titles.get((model, task, label), label)
            one = _contestant(f"{number}/{done.run.id}", cell, title, done, study.folder / "runs" / done.run.id)
            if one is not None:
                found.append(one)
        order = list(dict.fromkeys(one.cell for one in found))
        return sorted(found, key=lambda one: order.index(one.cell))

    def close(self) -> None:
        """End the process that makes reports."""
        self._reporter.close()


def _validation(done: Done) -> float:
    value = done.metrics.validation.get(done.main_metric.name)
    if value is None:
        return float("-inf")
    return value if done.main_metric.higher_is_better else -value


def _contestant(key: str, cell: str, title: str, done: Done, folder: Path) -> Contestant | None:
    """None where the run cannot be read, such as one of an earlier version."""
    try:
        run, _ = read_run(folder)
    except UserError:
        return None
    main = done.main_metric
    name = text.metric_title(main.name) if main.name in METRICS else main.name
    return Contestant(
        key,
        cell,
        f"{title}, seed {run.seed}",
        f"test {name} {text.score(main.value)}",
        folder,
        run.task.second if run.task.second_column is not None else None,
        run.task.second_is_optional,
        issubclass(techniques()[run.technique], Technique),
    )
