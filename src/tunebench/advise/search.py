"""A search over the settings of a study's techniques, as a scheduler: every technique has the same budget."""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from pydantic import ValidationError

from tunebench._util.errors import shown
from tunebench._util.files import write_json
from tunebench._util.ranges import Range
from tunebench.advise.proposals import Proposals, journal_in
from tunebench.evaluation.metrics import METRICS
from tunebench.records import SEARCH, Paused, Result, SearchedTechnique, SearchRecord, Trial, read_result
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.run.task_data import TaskData
from tunebench.study import Places, Run, Search, Searched
from tunebench.zoo import checkpoints

FOLDER = "trials"
"""In a study's folder: one folder per trial, as `runs` has one per run."""


class Searching:
    """The trials of all techniques, those of one technique after those of the others, in turn.

    A trial is a run that pauses where its training ends: it is scored on validation, and no test split is read.

    Args:
        out: the study's folder, which is locked.
        budget: of each technique.
        searched: the techniques; one without a space, or that is not applicable, is left as the study gives it.
        data: reads the data of their tasks.
        places: where models and data lie.
        track: tensorboard, wandb or mlflow.
        only: the first trials of the techniques that may have further trials; None: all.

    Raises:
        UserError: a model or data are unavailable.
    """

    def __init__(
        self,
        out: Path,
        budget: Search,
        searched: Sequence[Searched],
        data: TaskData,
        places: Places,
        track: str | None = None,
        only: Sequence[Run] | None = None,
    ):
        self._out, self._budget = out, budget
        journal, content = journal_in(out), _Content(data)
        techniques = []
        for one in searched:
            cell = Cell.of(one.run, places)
            space = _space(one, cell)
            if space:
                jobs = _Jobs(out, places, track, cell.family.name, content.of(cell))
                techniques.append(_Technique(one, budget, space, journal, jobs))
        self._techniques: list[_Technique] = techniques
        self._chosen = [one for one in techniques if only is None or one.searched.run in only]
        self._at_work: dict[str, _Technique] = {}
        self._save()

    @property
    def trials(self) -> int | None:
        """How many are still to be made; None where the budget is in seconds."""
        return None if self._budget.trials is None else sum(one.left for one in self._chosen)

    @property
    def seconds(self) -> float | None:
        """What is left of the budgets together; None where they are in trials."""
        return None if self._budget.seconds is None else sum(one.seconds_left for one in self._chosen)

    @property
    def count(self) -> int:
        """Techniques that may have further trials."""
        return len(self._chosen)

    def name_of(self, job: Job) -> str:
        """What lines and bars call a trial."""
        settings = {name: getattr(job.run.entry, name) for name in self._at_work[job.folder].space}
        return f"{job.run.task.name} · {job.run.label} · {_in_words(settings)}"

    @property
    def finished(self) -> bool:
        """Whether every technique has used its budget, or will have with the trials at work."""
        return all(one.over for one in self._chosen)

    def ask(self) -> Job | None:
        """The next trial of the technique that has had the fewest; None while seconds wait for an outcome."""
        while ready := [one for one in self._chosen if one.can_start]:
            technique = min(ready, key=lambda one: one.begun)
            job = technique.next()
            if job is not None:
                self._at_work[job.folder] = technique
                return job
            self._save()
        return None

    def tell(self, job: Job, result: Result) -> None:
        """Keep a trial's outcome."""
        self._at_work.pop(job.folder).tell(job, result)
        self._save()

    @property
    def chosen(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Experiment and technique, counted from 0 -> the settings with the best score on validation."""
        return {one.searched.place: one.best for one in self._techniques if one.best is not None}

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Technique, and the chosen settings in words."""
        found = []
        for one in self._techniques:
            run, best = one.searched.run, one.best
            words = "no trial has a score, so the defaults are kept" if best is None else _in_words(best)
            found.append((f"{run.task.name} · {run.label}", words))
        return found

    def _save(self) -> None:
        budget = self._budget.model_dump(mode="json")
        record = SearchRecord(budget=budget, techniques=tuple(one.record for one in self._techniques))
        write_json(self._out / SEARCH, record.model_dump(mode="json", by_alias=True))


class _Content:
    """A digest of the bytes that a cell's trials read: with other data or another model, a search begins anew."""

    def __init__(self, data: TaskData):
        self._data = data
        self._models: dict[tuple[str, str | None, bool], str] = {}

    def of(self, cell: Cell) -> str:
        """Of its data, and of its model where the technique reads one."""
        run = cell.run
        read = [self._data.of(run.task).fingerprint]
        if run.entry.reads_model:
            key = (run.model, run.revision, run.entry.reads_weights)
            if key not in self._models:
                fetched = checkpoints.fetch(cell.checkpoint, run.entry.reads_weights, download=False)
                self._models[key] = fetched[1].fingerprint
            read.append(self._models[key])
        return hashlib.sha256(" ".join(read).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class _Jobs:
    """Makes a technique's runs jobs; trials on other content have another folder."""

    out: Path
    places: Places
    track: str | None
    family: str
    content: str

    def trial(self, run: Run) -> Job:
        """A run as a trial."""
        return Job(
            run=run,
            places=self.places.of(run),
            family=self.family,
            folder=str(self.out / FOLDER / self.content / run.id),
            cache=str(self.out / "cache"),
            track=self.track,
            trial=True,
        )


class _Technique:
    """The trials of one technique, its budget, and the best of them."""

    def __init__(
        self, searched: Searched, budget: Search, space: Mapping[str, Range], journal: JournalStorage, jobs: _Jobs
    ):
        self.searched, self._budget, self.space, self._jobs = searched, budget, space, jobs
        self._metric = METRICS[searched.run.task.metrics[0]]
        self._at_work: dict[str, int] = {}
        name, higher = _name(searched.run, space, jobs.content), self._metric.higher_is_better
        self._proposals = Proposals(journal, name, space, budget.sampler, higher, budget.trials)
        self._open = list(self._proposals.open)
        self._exhausted = False

    @property
    def begun(self) -> int:
        """Trials that were proposed."""
        return self._proposals.count - len(self._open)

    @property
    def left(self) -> int:
        """Trials of the budget that are not at work and have no outcome."""
        return max(0, (self._budget.trials or 0) - self._proposals.count) + len(self._open)

    @property
    def over(self) -> bool:
        """Whether no further trial will start; with seconds that is unknown while one is at work."""
        if self._open:
            return False
        if self._exhausted:
            return True
        if self._budget.trials is not None:
            return self._proposals.count >= self._budget.trials
        return not self._at_work and not self.seconds_left

    @property
    def can_start(self) -> bool:
        """Whether another trial may start now: with seconds one at a time, as its cost is unknown before its end."""
        return not self.over and (self._budget.trials is not None or not self._at_work)

    def next(self) -> Job | None:
        """The next trial's job; None if its outcome is known without one, or there is no further trial."""
        proposal = self._open.pop(0) if self._open else self._proposals.propose()
        if proposal is None:
            self._exhausted = True
            return None
        number, settings = proposal
        try:
            run = self._run(settings)
        except ValidationError as error:
            reason = shown("; ".join(problem["msg"] for problem in error.errors()))
            self._proposals.tell(number, None, {"reason": reason, "seconds": 0.0})
            return None
        twin = next((trial for trial in self._trials if trial.run == run.id), None)
        if twin is not None:
            remarks = twin.model_dump(mode="json", exclude={"number", "settings", "score", "seconds"})
            self._proposals.tell(number, twin.score, {**remarks, "seconds": 0.0, "same_as": twin.number})
            return None
        job = self._jobs.trial(run)
        known = read_result(Path(job.folder))
        if isinstance(known, Paused) and known.reason == Paused.TRIAL:  # killed before its outcome was noted
            self._at_work[job.folder] = number
            self.tell(job, known)
            return None
        self._at_work[job.folder] = number
        return job

    def tell(self, job: Job, result: Result) -> None:
        """Keep the outcome, and remove the weights, which nobody reads."""
        number = self._at_work.pop(job.folder)
        remarks: dict[str, Any] = {"run": job.run.id, "seconds": 0.0}
        score = None
        if isinstance(result, Paused):
            best = result.history[(result.best_epoch or 1) - 1] if result.history else None
            score = best.validation.get(self._metric.name) if best and result.best_epoch else None
            remarks |= {
                "seconds": result.cost.total_seconds,
                "epochs": result.epoch,
                "best_epoch": result.best_epoch,
                "curve": [epoch.validation.get(self._metric.name) for epoch in result.history],
                "reason": None if score is not None else f"its {self._metric.title} on validation is undefined",
            }
        else:
            remarks["reason"] = shown(str(result.reason))
        self._proposals.tell(number, score if score is not None and math.isfinite(score) else None, remarks)
        shutil.rmtree(Path(job.folder) / "resume", ignore_errors=True)
        for weights in Path(job.folder).glob("*.safetensors"):
            weights.unlink(missing_ok=True)

    @property
    def best(self) -> dict[str, Any] | None:
        """The settings of the best trial, of equal ones the first; None where none has a score."""
        scored = [trial for trial in self._trials if trial.score is not None]
        if not scored:
            return None
        sign = 1 if self._metric.higher_is_better else -1
        chosen = max(scored, key=lambda trial: (sign * (trial.score or 0.0), -trial.number))
        return dict(chosen.settings)

    @property
    def record(self) -> SearchedTechnique:
        """What the report says of it."""
        run = self.searched.run
        return SearchedTechnique(
            model=run.model,
            task=run.task.name,
            technique=run.technique,
            label=run.label,
            metric=self._metric.name,
            higher_is_better=self._metric.higher_is_better,
            space={name: str(one) for name, one in self.space.items()},
            trials=tuple(sorted(self._trials, key=lambda trial: trial.number)),
            chosen=self.best,
        )

    @property
    def _trials(self) -> list[Trial]:
        return [
            Trial(number=number, settings=settings, score=score, **remarks)
            for number, settings, score, remarks in self._proposals.ended
        ]

    @property
    def seconds_left(self) -> float:
        """Of a budget in seconds, without the trials at work; a trial that was begun within it may end after it."""
        return max(0.0, (self._budget.seconds or 0.0) - sum(trial.seconds for trial in self._trials))

    def _run(self, settings: Mapping[str, Any]) -> Run:
        run = self.searched.run
        entry = type(run.entry).model_validate({**run.entry.model_dump(), **settings})
        return run.model_copy(update={"entry": entry})


def _space(searched: Searched, cell: Cell) -> dict[str, Range]:
    """What the technique declares, narrowed or widened by the study, without what the study fixes."""
    if cell.reason is not None or cell.posed is None:
        return {}
    config = cell.family.config(cell.checkpoint.config)
    layers = None if getattr(config, "is_encoder_decoder", False) else getattr(config, "num_hidden_layers", None)
    declared = searched.run.entry.space(cell.posed, layers)
    return {name: one for name, one in {**declared, **searched.ranges}.items() if name not in searched.fixed}


def _name(run: Run, space: Mapping[str, Range], content: str) -> str:
    """What tells this search from one with other data, another model, other settings or ranges."""
    described = {"run": run.id, "content": content, "space": {name: repr(one) for name, one in space.items()}}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:8]
    return f"{run.model} {run.task.name} {run.label} {digest}"


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in settings.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2g}"
    return "+".join(value) if isinstance(value, tuple) else str(value)
