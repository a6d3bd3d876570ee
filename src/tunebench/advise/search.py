"""A search over the settings of a study's techniques, as a scheduler: every technique has the same budget."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage

from tunebench._util.files import write_json
from tunebench._util.ranges import Range
from tunebench.advise.evidence.base import evidence
from tunebench.advise.evidence.spread import seed_deviation
from tunebench.advise.jobs import Jobs, content_of
from tunebench.advise.proposals import Proposals, journal_in
from tunebench.advise.trials import Trials, in_words
from tunebench.evaluation.metrics import METRICS
from tunebench.records import SEARCH, Result, SearchRecord
from tunebench.run.cell import Cell
from tunebench.run.job import Job
from tunebench.run.task_data import TaskData
from tunebench.study import Places, Run, Search, Searched
from tunebench.zoo import checkpoints


class Searching:
    """The trials of all techniques, those of one technique after those of the others, in turn.

    A trial is a run that pauses where its training ends, or, in a race, after epochs 1, 2, 4, ...: it is scored on
    validation, and no test split is read.

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
                jobs = Jobs(out, places, track, cell.family.name, content.of(cell))
                proposals = self._proposals(one, space, journal, jobs.content)
                techniques.append(Trials(one, budget, space, proposals, jobs, self._seed_deviation(one.run)))
        self._techniques: list[Trials] = techniques
        self._chosen = [one for one in techniques if only is None or one.searched.run in only]
        self._at_work: dict[str, Trials] = {}
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
    def races(self) -> bool:
        """Whether trials that are behind end early."""
        return self._budget.races

    @property
    def count(self) -> int:
        """Techniques that may have further trials."""
        return len(self._chosen)

    def name_of(self, job: Job) -> str:
        """What lines and bars call a trial."""
        return self._at_work[job.folder].name_of(job)

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
        chosen = {one.searched.place: one.best for one in self._techniques}
        return {place: dict(best.settings) for place, best in chosen.items() if best is not None}

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Technique, and the chosen settings in words."""
        decided = []
        for one in self._techniques:
            run, record = one.searched.run, one.record
            words = "no trial has a score, so the defaults are kept"
            if record.chosen is not None:
                words = in_words(record.chosen)
            if record.chosen_epoch is not None:
                words += (
                    f", by the score after epoch {record.chosen_epoch}: {self._budget.seconds:g} seconds ended before "
                    "any trial did. More seconds, or fewer epochs, let one finish"
                )
            decided.append((f"{run.task.name} · {run.label}", words))
        return decided

    def news(self) -> list[str]:
        """What was dropped since this was asked last, a sentence each."""
        return [line for one in self._techniques for line in one.news()]

    def _seed_deviation(self, run: Run) -> float | None:
        """What a race must allow for: a seed's luck, where earlier results show it."""
        return seed_deviation(evidence(), run.task.metrics[0]) if self._budget.races else None

    def _proposals(
        self, searched: Searched, space: Mapping[str, Range], journal: JournalStorage, content: str
    ) -> Proposals:
        metric, budget = METRICS[searched.run.task.metrics[0]], self._budget
        name = _name(searched.run, space, content)
        return Proposals(journal, name, space, budget.sampler, metric.higher_is_better, budget.trials)

    def _save(self) -> None:
        budget = {**self._budget.model_dump(mode="json"), "race": self._budget.races}
        record = SearchRecord(budget=budget, techniques=tuple(one.record for one in self._techniques))
        write_json(self._out / SEARCH, record.model_dump(mode="json", by_alias=True))


class _Content:
    """A digest of the bytes that a cell's trials read: with other data or another model, a search begins anew."""

    def __init__(self, data: TaskData):
        self._data = data
        self._models: dict[tuple[str, str | None, bool], str] = {}

    def of(self, cell: Cell) -> str:
        """Of its data, and of its model where the technique reads one."""
        run, data = cell.run, self._data.of(cell.run.task).fingerprint
        if not run.entry.reads_model:
            return content_of(data, None)
        key = (run.model, run.revision, run.entry.reads_weights)
        if key not in self._models:
            fetched = checkpoints.fetch(cell.checkpoint, run.entry.reads_weights, download=False)
            self._models[key] = fetched[1].fingerprint
        return content_of(data, self._models[key])


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
