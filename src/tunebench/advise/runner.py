"""A run in a race: how far it has come, and what its folder keeps of it."""

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunebench._util.errors import shown
from tunebench._util.files import link, write_json
from tunebench.evaluation.metrics import Metric
from tunebench.records import DROPPED, Elimination, Paused, Result, read_elimination, read_result
from tunebench.run.job import Job
from tunebench.run.pause import VALIDATION
from tunebench.study import Run
from tunebench.techniques.base import Trained


def rungs_of(run: Run, pauses: Sequence[int] | None = None) -> tuple[int, ...]:
    """The epochs after which a run pauses: some (None: 1, 2, 4, ...), and all of its epochs; 1 where nothing trains."""
    epochs = run.training.epochs if isinstance(run.entry, Trained) else 1
    wanted = [2**power for power in range(epochs.bit_length())] if pauses is None else sorted(set(pauses))
    return (*(epoch for epoch in wanted if 0 < epoch < epochs), epochs)


class Runner:
    """A job that pauses at each rung.

    Its folder keeps the answers of each rung and why it was dropped, so that a killed race finds them again.

    Attributes:
        job: the whole run.
        rungs: the epochs after which it pauses; the last one is that of its end.
        epochs: how many it has trained.
        curve: the metric on validation after each of them.
        best_epoch: of them; None where no score is defined.
        ended: whether its training has.
        answers: epoch -> predictions and references of the validation examples.
        seconds: what it has cost.
        failed: why, or None.
        elimination: why it was dropped, or None.
        at_work: whether it was started and has not paused.
    """

    def __init__(self, job: Job, metric: Metric, rungs: tuple[int, ...]):
        self.job, self._metric, self.rungs = job, metric, rungs
        self.epochs, self.seconds = 0, 0.0
        self.curve: list[float | None] = []
        self.best_epoch: int | None = None
        self.answers: dict[int, tuple[list[Any], list[Any]]] = {}
        self.failed: str | None = None
        self.ended = self.at_work = False
        self._started = 0.0
        known = read_result(self.folder)
        if known is not None:
            self._observe(known)
        self.elimination = read_elimination(self.folder) if self.epochs else None

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return Path(self.job.folder)

    @property
    def waiting(self) -> bool:
        """Whether it may be continued."""
        return not (self.at_work or self.ended or self.failed or self.elimination)

    @property
    def score(self) -> float | None:
        """Of its best epoch where its training has ended, else after its last epoch; None where it is undefined."""
        if self.failed or not self.curve:
            return None
        if not self.ended:
            return self.curve[-1]
        return self.curve[self.best_epoch - 1] if self.best_epoch else None

    @property
    def rank(self) -> float:
        """Its score, the higher the better."""
        sign = 1 if self._metric.higher_is_better else -1
        return float("-inf") if self.score is None else sign * self.score

    def start(self) -> Job:
        """The job that trains it to its next rung."""
        self.at_work, self._started = True, time.monotonic()
        following = next(rung for rung in self.rungs if rung > self.epochs)
        return self.job.model_copy(update={"until_epoch": following, "trial": True})

    def tell(self, result: Result) -> None:
        """Its job ended; of one that failed no cost is recorded, so that the time until now counts."""
        self.at_work = False
        self._observe(result)
        if self.failed:
            self.seconds += time.monotonic() - self._started

    def drop(self, elimination: Elimination) -> None:
        """It is not continued, and its weights are removed."""
        write_json(self.folder / DROPPED, elimination.model_dump(mode="json"))
        self.elimination = elimination
        remove_weights(self.folder)

    def _observe(self, result: Result) -> None:
        if not isinstance(result, Paused):
            self.failed = shown(str(result.reason))
            return
        self.curve = [epoch.validation.get(self._metric.name) for epoch in result.history]
        self.epochs, self.seconds = result.epoch, result.cost.total_seconds
        self.best_epoch = result.best_epoch
        self.ended = result.reason == Paused.TRIAL
        last = self.folder / VALIDATION
        if last.exists() and not (kept := _answers_of(self.folder, self.epochs)).exists():
            link(last, kept)
        for epoch in (*self.rungs, self.epochs):
            if epoch <= self.epochs and (path := _answers_of(self.folder, epoch)).exists():
                self.answers[epoch] = _read(path)


def remove_weights(folder: Path) -> None:
    """Remove what only a continued run would read."""
    shutil.rmtree(folder / "resume", ignore_errors=True)
    for weights in folder.glob("*.safetensors"):
        weights.unlink(missing_ok=True)


def _answers_of(folder: Path, epoch: int) -> Path:
    name = Path(VALIDATION)
    return folder / f"{name.stem}-{epoch}{name.suffix}"


def _read(path: Path) -> tuple[list[Any], list[Any]]:
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    return [row["prediction"] for row in rows], [row["reference"] for row in rows]
