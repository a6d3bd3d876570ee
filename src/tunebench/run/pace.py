"""How long techniques take side by side: a process that times samples of their steps turn by turn.

It reads the turns as one JSON line and writes what it measured as JSON lines. Each turn builds its model anew and
forgets it, so that no technique runs in what another one left behind, and memory holds one model at a time. No weights
of a run are read or written.
"""

import gc
import os
import queue
import sys
import tempfile
import threading
from pathlib import Path
from statistics import fmean

import psutil
import torch

from tunebench._util.errors import RunError, UserError
from tunebench.engine.events import Event
from tunebench.engine.measure import Stopwatch
from tunebench.engine.train import seconds_per_step
from tunebench.run.baseline import asked_of
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.run.prepare import prepare, training_of
from tunebench.run.timing import Request, Turn
from tunebench.tasks import load as data
from tunebench.tasks.load import Data
from tunebench.techniques.base import Baseline, Question, Trained

WARM_UP, STEPS, BATCHES = 3, 20, 5
"""Steps before and while the clock runs, and batches of the trunk."""
_LOOK = 0.5  # seconds in which other processes are observed before each turn


def turn(job: Job, examples: Data) -> Turn:
    """Time a sample of a run's steps, or a baseline's whole fit."""
    busy = busy_cores()
    common = {"run": job.run.id, "threads": torch.get_num_threads(), "busy_cores": busy}
    try:
        cell = Cell.of(job.run, job.places)
        if isinstance(job.run.entry, Baseline):
            return Turn(**common, seconds=_fit_seconds(cell, job.run.entry, examples, Path(job.folder)), baseline=True)
        assert isinstance(job.run.entry, Trained)
        prepared = prepare(job, cell, examples, _ignored)
        training = training_of(prepared, job.run.entry)
        trunk = prepared.cut.seconds_of_pass("train", BATCHES)
        seconds = seconds_per_step(training, job.run.training, job.run.seed, WARM_UP, STEPS)
    except (UserError, RunError) as error:
        return Turn(**common, reason=str(error))
    return Turn(**common, seconds=seconds, trunk_seconds=trunk)


def busy_cores() -> float:
    """How many cores other processes keep busy, while this one waits."""
    shares = psutil.cpu_percent(interval=_LOOK, percpu=True)
    return fmean(shares) / 100 * len(shares)


def _fit_seconds(cell: Cell, baseline: Baseline, examples: Data, folder: Path) -> float:
    watch, asked = Stopwatch(), asked_of(cell, folder)
    question = Question(cell.run.task, examples.labels, asked.model)
    with watch.time("fit"):
        baseline.fit(examples.splits["train"], examples.splits["validation"], question, cell.run.seed)
    return watch.seconds["fit"]


def _ignored(event: Event) -> None:
    """No run is observed here."""


def main() -> None:
    """Take the turns of a request, round by round within each comparison, until standard input ends."""
    border = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to the log
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    gc.enable()
    request = Request.model_validate_json(lines.get())
    with tempfile.TemporaryDirectory() as folder:
        for jobs in request.comparisons:
            known: dict[str, Data] = {}
            failed: set[str] = set()
            for _ in range(request.rounds):
                for job in jobs:
                    here = job.model_copy(update={"folder": folder})
                    measured = None if job.run.id in failed else turn(here, _examples(job, known))
                    gc.collect()
                    if measured is not None and measured.reason is not None:
                        failed.add(job.run.id)
                    border.write((measured or Turn(run=job.run.id, skipped=True)).model_dump_json() + "\n")
    os._exit(0)  # the other thread still listens


def _examples(job: Job, known: dict[str, Data]) -> Data:
    key = job.run.task.model_dump_json()
    if key not in known:
        known[key] = data.load(job.places.located(job.run.task), job.places.data_root)
    return known[key]


def _listen(lines: "queue.Queue[bytes]") -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)  # the parent is gone, or stopped
