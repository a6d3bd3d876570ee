"""How long techniques take side by side: a process that times samples of their steps turn by turn.

It reads the turns as one JSON line and writes what it measured as JSON lines. Each turn builds its model anew and
forgets it, so that no technique runs in what another one left behind, and memory holds one model at a time. No weights
of a run are read or written.
"""

import gc
import math
import os
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import torch

from tunebench._util.errors import RunError, UserError
from tunebench.engine import latency, measure
from tunebench.engine.evaluate import predict
from tunebench.engine.events import Event
from tunebench.engine.measure import Stopwatch
from tunebench.engine.sources import TokenSource
from tunebench.engine.train import seconds_per_step
from tunebench.run.baseline import asked_of
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.run.prepare import Prepared, prepare, training_of
from tunebench.run.timing import Request, Turn
from tunebench.tasks import load as data
from tunebench.tasks.load import Data
from tunebench.techniques.base import Baseline, Question, Trained

WARM_UP, STEPS, BATCHES = 3, 20, 5
"""Steps before and while the clock runs, and batches of the trunk."""
_ROWS = 64  # of the validation split, whose answers are timed
_LOOK = 0.5  # seconds in which other processes are observed before each turn


def turn(job: Job, examples: Data, priced: bool = False) -> Turn:
    """Time a sample of a run's steps, or a baseline's whole fit; `priced`: measure its other costs, too."""
    busy = busy_cores()
    common = {"run": job.run.id, "threads": torch.get_num_threads(), "busy_cores": busy}
    try:
        cell = Cell.of(job.run, job.places)
        if isinstance(job.run.entry, Baseline):
            return Turn(**common, **_fitted(cell, job.run.entry, examples, Path(job.folder)), baseline=True)
        assert isinstance(job.run.entry, Trained)
        measure.reset_peak_memory()
        prepared = prepare(job, cell, examples, _ignored)
        training = training_of(prepared, job.run.entry)
        trunk = prepared.cut.seconds_of_pass("train", BATCHES)
        seconds = seconds_per_step(training, job.run.training, job.run.seed, WARM_UP, STEPS)
        costs = _costs(prepared, job.run.entry) if priced else {}
        steps = job.run.training.epochs * math.ceil(len(prepared.features["train"]) / job.run.training.batch_size)
    except (UserError, RunError) as error:
        return Turn(**common, reason=str(error))
    return Turn(**common, seconds=seconds, trunk_seconds=trunk, steps=steps, **costs)


def busy_cores() -> float:
    """How many cores other processes keep busy, while this one waits."""
    shares = psutil.cpu_percent(interval=_LOOK, percpu=True)
    return fmean(shares) / 100 * len(shares)


def _fitted(cell: Cell, baseline: Baseline, examples: Data, folder: Path) -> dict[str, Any]:
    """What a baseline costs: it is fitted, saved, and answers once."""
    watch, asked = Stopwatch(), asked_of(cell, folder)
    question = Question(cell.run.task, examples.labels, asked.model)
    with watch.time("fit"):
        predictor = baseline.fit(examples.splits["train"], examples.splits["validation"], question, cell.run.seed)
    return {
        "seconds": watch.seconds["fit"],
        "peak_memory_bytes": measure.peak_memory(),
        "saved_bytes": sum(path.stat().st_size for path in predictor.save(folder)),
        "latency_seconds": latency.seconds(lambda: predictor.predict(examples.splits["validation"][:1])),
        "trainable": predictor.parameters,
    }


def _costs(prepared: Prepared, technique: Trained) -> dict[str, Any]:
    """What a run costs besides the seconds of its steps, from samples; merging comes last, as it changes weights."""
    features = prepared.features["train"]
    merges, peak = technique.merges(prepared.model), measure.peak_memory()
    evaluation = _evaluation_seconds(prepared)
    spent = latency.latency(prepared.model, technique, prepared.objective, features, prepared.autocast)
    ordinary = (merges and spent.merged_seconds is not None) or (not merges and _is_ordinary(technique, prepared.model))
    return {
        "evaluation_seconds": evaluation,
        "peak_memory_bytes": peak,
        "saved_bytes": 4 * prepared.parameters.trainable,
        "latency_seconds": spent.merged_seconds if spent.merged_seconds is not None else spent.seconds,
        "ordinary": ordinary,
        "keeps_backbone": merges or not ordinary or not prepared.parameters.technique,
        "trainable": prepared.parameters.trainable,
    }


def _is_ordinary(technique: Trained, model: Any) -> bool:
    try:
        technique.merged(model)
    except UserError:
        return False
    return True


def _evaluation_seconds(prepared: Prepared) -> float:
    """Of a pass over the split that compares epochs, from some of its rows."""
    comparison = prepared.comparison
    features = prepared.features[comparison.split]
    sample = features
    if not features.windows and len(features) > _ROWS:
        kept = {number * len(features) // _ROWS for number in range(_ROWS)}
        sample = features.without(set(range(len(features))) - kept)
    watch, batch_tokens = Stopwatch(), prepared.cell.run.training.evaluation_batch_tokens
    source = TokenSource(comparison.objective, sample, prepared.accelerator.device)
    with watch.time("answers"):
        predict(prepared.model, source, comparison.objective, prepared.autocast, batch_tokens)
    return watch.seconds["answers"] * sum(features.lengths) / sum(sample.lengths)


def _ignored(event: Event) -> None:
    """No run is observed here."""


def main() -> None:
    """Take the turns of a request, round by round within each comparison, until standard input ends."""
    border = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to the log
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    gc.enable()
    for measured in taken(Request.model_validate_json(lines.get())):
        border.write(measured.model_dump_json() + "\n")
    os._exit(0)  # the other thread still listens


def taken(request: Request) -> Iterator[Turn]:
    """The turns of a request; a run that fails once is skipped in the rounds after that."""
    with tempfile.TemporaryDirectory() as folder:
        for jobs in request.comparisons:
            known: dict[str, Data] = {}
            failed: set[str] = set()
            for job in list(jobs) * request.rounds:
                if job.run.id in failed:
                    yield Turn(run=job.run.id, skipped=True)
                    continue
                measured = turn(job.model_copy(update={"folder": folder}), _examples(job, known), request.priced)
                gc.collect()
                if measured.reason is not None:
                    failed.add(job.run.id)
                yield measured


def _examples(job: Job, known: dict[str, Data]) -> Data:
    key = job.run.task.model_dump_json()
    if key not in known:
        known[key] = data.load(job.places.located(job.run.task), job.places.data_root)
    return known[key]


def _listen(lines: "queue.Queue[bytes]") -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)  # the parent is gone, or stopped
