"""Makes the runs of the evidence base, in an order in which every data set soon has its first techniques.

A run's result becomes a line of the base, and its folder is removed. What has a line is not made again.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError
from tunebench.advise.evidence.base import append, evidence
from tunebench.advise.evidence.record import begun_of, cell_of, run_of
from tunebench.advise.evidence.sources import sources, studies
from tunebench.records import Done, EvidenceCell, Failed, Result
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.study import Places, Run, Study
from tunebench.tasks.load import load
from tunebench.techniques.base import Baseline


@dataclass(frozen=True)
class Building:
    """What is built.

    Attributes:
        data: the folder of the data sets.
        model: as a study names it: a folder, a hub id, or a mapping with path and name.
        into: the folder of the base.
        work: where runs are made.
        rows: of the training split, at most.
        only: data sets; empty: all.
    """

    data: Path
    model: Any
    into: Path
    work: Path
    rows: int
    only: frozenset[str] = frozenset()


class Build:
    """A scheduler of the runs that the base lacks.

    Attributes:
        left_out: data set -> why it cannot be read.

    Args:
        building: what to build.
        seconds: start no further run after so many; None: until all are made.

    Raises:
        UserError: the model or all data sets are unavailable, or a file of the base is damaged.
    """

    def __init__(self, building: Building, seconds: float | None = None):
        self._building = building
        self._until = float("inf") if seconds is None else time.monotonic() + seconds
        self._known = {
            (one.cell.model, one.cell.dataset, one.cell.rows["train"], run.key)
            for one in evidence([building.into])
            for run in one.runs
        }
        self._cells: dict[str, EvidenceCell] = {}
        self.left_out: dict[str, str] = {}
        self._jobs = self._missing()
        self._next = next(self._jobs, None)

    @property
    def finished(self) -> bool:
        """Whether no further run starts."""
        return self._next is None or time.monotonic() > self._until

    def ask(self) -> Job | None:
        """The next run."""
        if self.finished:
            return None
        job, self._next = self._next, next(self._jobs, None)
        return job

    def tell(self, job: Job, result: Result) -> None:
        """Keep what is known of it, and remove its folder."""
        if isinstance(result, Done) or (isinstance(result, Failed) and result.by_hand is None):
            append(self._building.into, self._cells[job.run.task.name], run_of(job.run, result))
        shutil.rmtree(job.folder, ignore_errors=True)

    def _missing(self) -> Iterator[Job]:
        building = self._building
        for name, study in studies(building.data, building.model, building.rows):
            if not building.only or name in building.only:
                try:
                    yield from self._missing_of(name, study)
                except UserError as error:
                    self.left_out[name] = str(error)

    def _missing_of(self, name: str, study: Study) -> Iterator[Job]:
        places = study.places()
        for run in study.runs():
            deterministic = isinstance(run.entry, Baseline)
            cell = Cell.of(run, places)
            if cell.reason is not None or (deterministic and run.seed > 0):
                continue
            if name not in self._cells:
                data = load(places.located(run.task), download=False)
                self._cells[name] = cell_of(cell, data, sources()[name].related)
            known = self._cells[name]
            if (known.model, name, known.rows["train"], begun_of(run).key) not in self._known:
                yield self._job(run, places, cell)

    def _job(self, run: Run, places: Places, cell: Cell) -> Job:
        work = self._building.work
        return Job(
            run=run,
            places=places.of(run),
            family=cell.family.name,
            folder=str(work / "runs" / run.id),
            cache=str(work / "cache"),
        )
