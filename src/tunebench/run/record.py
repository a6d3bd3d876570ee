"""A run's record: scores on the test split, costs and notices."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunebench._util.files import digests_of, write_atomically
from tunebench.engine import measure, train
from tunebench.engine.cut import TrunkCosts
from tunebench.engine.evaluate import refuse_padding, score
from tunebench.engine.forgetting import Forgetting
from tunebench.engine.latency import Latency
from tunebench.evaluation.intervals import intervals, methods
from tunebench.evaluation.metrics import METRICS
from tunebench.families.base import Pooling
from tunebench.records import (
    PREDICTIONS,
    Cost,
    DataInfo,
    Done,
    Epoch,
    Generation,
    MainMetric,
    ModelInfo,
    Notice,
    Parameters,
    RunInfo,
    Scores,
)
from tunebench.run import adapter
from tunebench.run.cost import Sitting, cost_until_now
from tunebench.run.job import Job
from tunebench.tasks.base import Task
from tunebench.tasks.examples import shortened
from tunebench.tasks.leakage import overlap
from tunebench.tasks.load import SPLITS, Data


@dataclass(frozen=True)
class Outcome:
    """What tuning or fitting gives, before the test split is scored.

    `peaks` are those of the run, before latency was measured and intervals were computed. `apart` is what measures took
    that the study asks for: they are no cost of the run.
    """

    predictions: list[Any]
    details: list[Any]
    validation: dict[str, float | None]
    parameters: Parameters
    environment: dict[str, Any]
    state: train.State
    saved: list[Path]
    peaks: measure.Peaks
    latency: Latency
    trunks: TrunkCosts = field(default_factory=TrunkCosts)
    cached: bool = False
    backbone: ModelInfo | None = None
    truncated: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    pooling: Pooling | None = None
    generation: Generation | None = None
    forgetting: Forgetting = field(default_factory=Forgetting)
    apart: measure.Spent = field(default_factory=measure.Spent)


def describe(job: Job, info: RunInfo, examples: Data, outcome: Outcome, sitting: Sitting) -> Done:
    """Score the test predictions, write them, and return the record."""
    task, folder = job.run.task, Path(job.folder)
    asked = [task.shown(example) for example in examples.splits["test"]]
    gold = task.references(examples.splits["test"], examples.labels)
    test = score(task.metrics, outcome.predictions, gold)
    refuse_padding(outcome.predictions, outcome.tokens.get("test"))
    rows = answered(range(len(asked)), asked, outcome.predictions, gold, outcome.details)
    write_answers(folder / PREDICTIONS, grouped(rows, examples.test_groups))
    without, overlapping = _without_overlap(task, examples, outcome.predictions, gold, test)
    main, state = METRICS[task.metrics[0]], outcome.state
    return Done(
        run=info,
        backbone=outcome.backbone,
        main_metric=MainMetric(
            name=main.name, split="test", value=test[main.name], higher_is_better=main.higher_is_better
        ),
        metrics=Scores(validation=outcome.validation, test=test, test_without_overlap=without),
        intervals=intervals([METRICS[name] for name in test], outcome.predictions, gold, examples.test_groups),
        interval_methods=methods(test),
        parameters=outcome.parameters,
        cost=_cost(folder, outcome, sitting),
        best_epoch=state.best_epoch,
        pooling=outcome.pooling,
        summary=outcome.summary,
        generation=outcome.generation,
        history=[Epoch.model_validate(epoch) for epoch in state.history],
        data=_data_info(examples, outcome),
        environment=outcome.environment | ({"load_average": sitting.load.averages} if sitting.load else {}),
        notices=[
            *job.notices,
            *outcome.notices,
            *overlapping,
            *_undefined(test),
            *_on_metrics(test, gold),
            *_on_energy(job, sitting),
        ],
        files=digests_of(folder, [folder / PREDICTIONS, *outcome.saved, *adapter.files_in(folder)]),
    )


def _without_overlap(
    task: Task,
    examples: Data,
    predictions: Sequence[Any],
    gold: Sequence[Any],
    test: Mapping[str, float | None],
) -> tuple[dict[str, float | None], list[Notice]]:
    """The scores without test inputs that occur in train, and the notices on such inputs."""
    leaks = overlap(task, examples)
    notices = [Notice(code=code, message=message) for code, message in leaks.sentences(len(gold))]
    kept = [n for n in range(len(gold)) if n not in leaks.all]
    if not leaks.all or not kept:
        return {}, notices
    without = score(task.metrics, [predictions[n] for n in kept], [gold[n] for n in kept])
    main = METRICS[task.metrics[0]]
    text = (
        f"{main.title} is {_shown(test[main.name])} with the test inputs that occur in the training split, "
        f"{_shown(without[main.name])} without them."
    )
    return without, [*notices, Notice(code="test_in_train", message=text)]


def _undefined(test: Mapping[str, float | None]) -> list[Notice]:
    return [
        Notice(code="undefined", message=f"{METRICS[name].title} on the test split is undefined or infinite.")
        for name, value in test.items()
        if value is None
    ]


def _on_metrics(test: Mapping[str, float | None], gold: Sequence[Any]) -> list[Notice]:
    """What the metrics say of these references, each sentence once."""
    remarks = dict.fromkeys(METRICS[name].remark(gold) for name in test)
    return [Notice(code="metric", message=remark) for remark in remarks if remark]


def _on_energy(job: Job, sitting: Sitting) -> list[Notice]:
    """A figure that is missing must not be taken for a zero."""
    if "energy" not in job.run.measure or sitting.energy is not None:
        return []
    return [Notice(code="energy", message="CodeCarbon counted no energy on this machine.")]


def _cost(folder: Path, outcome: Outcome, sitting: Sitting) -> Cost:
    state, load = outcome.state, sitting.load
    spent = cost_until_now(folder, state, sitting)
    generation = state.seconds.get("generation", 0.0)
    tuning = spent.trunk_seconds + spent.train_seconds
    parts = tuning + spent.evaluation_seconds + spent.test_trunk_seconds + generation
    assert spent.total_seconds >= parts, f"the whole run took {spent.total_seconds} s, but its parts {parts} s"
    return Cost(
        **spent.model_dump(),
        generation_seconds=generation,
        left_behind_bytes=measure.left_behind(),
        other_workers=load and load.other_workers,
        waiting_share=load and load.waiting_share,
        saved_bytes=sum(path.stat().st_size for path in outcome.saved),
        epochs=state.epoch,
        steps=state.step,
        train_tokens=state.tokens,
        tokens_per_second=state.tokens / spent.train_seconds if state.tokens else None,
        cached=outcome.cached,
        latency_seconds=outcome.latency.seconds,
        merged_latency_seconds=outcome.latency.merged_seconds,
        latency_tokens=outcome.latency.tokens,
        forgetting_nats=outcome.forgetting.nats,
        feature_drift=outcome.forgetting.drift,
    )


def _data_info(examples: Data, outcome: Outcome) -> DataInfo:
    return DataInfo(
        rows={split: len(examples.splits[split]) for split in SPLITS},
        source=examples.source,
        fingerprint=examples.fingerprint(),
        labels=list(examples.labels),
        truncated=outcome.truncated,
        tokens=outcome.tokens,
        notes=list(examples.notes),
        files=dict(examples.files),
        test_groups=len(set(examples.test_groups)) if examples.test_groups else None,
    )


def answered(
    ids: Sequence[int],
    asked: Sequence[str],
    predictions: Sequence[Any],
    references: Sequence[Any],
    details: Sequence[Any],
) -> list[dict[str, Any]]:
    """What a model answered, one row per example; `ids` are rows of the split."""
    return [
        {"id": number, "input": shortened(text), "prediction": prediction, "reference": reference, "scores": scores}
        for number, text, prediction, reference, scores in zip(
            ids, asked, predictions, references, details, strict=True
        )
    ]


def grouped(rows: list[dict[str, Any]], groups: Sequence[int] | None) -> list[dict[str, Any]]:
    """The rows, with the number of each one's group where there are groups."""
    if groups is None:
        return rows
    return [{**row, "group": group} for row, group in zip(rows, groups, strict=True)]


def write_answers(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what a model answered, one JSON object per example."""
    lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_atomically(path, lines.encode())


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
