"""Records of runs that were never made, and a study's folder made of them."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunebench._util.files import write_json
from tunebench.records import (
    Cost,
    DataInfo,
    Done,
    Epoch,
    Failed,
    MainMetric,
    ModelInfo,
    NotApplicable,
    Notice,
    Parameters,
    Paused,
    PausedCost,
    Result,
    RunInfo,
    Scores,
    write_result,
)
from tunebench.report import build
from tunebench.report.read.predictions import Answers, read_answers

SCRIPT = "<script>alert(1)</script>"


def run_info(technique: str, seed: int = 0, task: str = "emotion", **changes: Any) -> RunInfo:
    fields = {
        "id": f"tiny--{task}--{technique}--s{seed}".replace("/", "_"),
        "model": "tiny",
        "family": "bert",
        "task": task,
        "task_version": 1,
        "technique": technique,
        "label": technique,
        "settings": {"learning_rate": 2e-5},
        "seed": seed,
        "training": {"epochs": 2, "batch_size": 16},
    }
    return RunInfo.model_validate({**fields, **changes})


def done(
    technique: str,
    value: float | None,
    seed: int = 0,
    *,
    interval: tuple[float, float] | None = None,
    trainable: int = 4_614,
    train_seconds: float = 12.3,
    notices: tuple[Notice, ...] = (),
    notes: tuple[str, ...] = (),
    fingerprint: str = "f1",
    higher_is_better: bool = True,
    **run: Any,
) -> Done:
    interval = interval or (None if value is None else (value - 0.01, value + 0.01))
    trained = trainable > 0
    return Done(
        run=run_info(technique, seed, **run),
        backbone=ModelInfo(source="tiny", commit="abc", fingerprint="weights"),
        main_metric=MainMetric(name="accuracy", split="test", value=value, higher_is_better=higher_is_better),
        metrics=Scores(validation={"accuracy": value}, test={"accuracy": value, "macro_f1": 0.5}),
        intervals={"accuracy": interval, "macro_f1": None},
        parameters=Parameters(total=109_486_854, trainable=trainable, technique=0, head=trainable),
        cost=Cost(
            trunk_seconds=1.5,
            train_seconds=train_seconds if trained else 0.0,
            evaluation_seconds=2.0,
            total_seconds=245.0,
            peak_memory_bytes=1_234_567_890,
            saved_bytes=18_456,
            epochs=2 if trained else 0,
            steps=2000,
            train_tokens=640_000,
            tokens_per_second=5200.0,
            cached=True,
        ),
        best_epoch=2 if trained else None,
        history=[
            Epoch(epoch=1, train_loss=1.5, validation={"accuracy": 0.4}, seconds=6.0),
            Epoch(epoch=2, train_loss=None, validation={"accuracy": value}, seconds=6.0),
        ]
        if trained
        else [],
        data=DataInfo(
            rows={"train": 16000, "test": 2000}, source="dair-ai/emotion", fingerprint=fingerprint, notes=list(notes)
        ),
        environment={"python": "3.11", "torch": "2.8"},
        notices=list(notices),
    )


def paused(technique: str, reason: str, seed: int = 0) -> Paused:
    cost = PausedCost(trunk_seconds=1, train_seconds=2, evaluation_seconds=1, total_seconds=5, peak_memory_bytes=9)
    epoch = Epoch(epoch=1, train_loss=0.7, validation={"accuracy": 0.5}, seconds=3)
    info = run_info(technique, seed)
    return Paused(reason=reason, run=info, epoch=1, best_epoch=1, history=[epoch], cost=cost)


def failed(technique: str, reason: str, seed: int = 0) -> Failed:
    return Failed(reason=reason, run=run_info(technique, seed), environment={"python": "3.11"})


def not_applicable(technique: str, reason: str, seed: int = 0) -> NotApplicable:
    return NotApplicable(reason=reason, run=run_info(technique, seed))


Write = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path) -> Write:
    """`write_study` into a folder of its own."""
    return functools.partial(write_study, tmp_path)


def write_study(
    folder: Path,
    *results: Result,
    pending: tuple[RunInfo, ...] = (),
    cells: Any = None,
    answers: dict[str, list[dict[str, Any]]] | None = None,
) -> Path:
    """Write a study of these results and of these pending runs, build its report, and give its folder.

    `answers` are the rows of predictions.jsonl by run id.
    """
    runs = [*(result.run for result in results), *pending]
    names = ("model", "family", "task", "technique", "label")
    planned = [{"id": run.id, "seed": run.seed, **{name: getattr(run, name) for name in names}} for run in runs]
    if cells is None:
        unique = {(run.model, run.task, run.label): run for run in runs}
        counted = {result.run.id: result.parameters for result in results if isinstance(result, Done)}
        cells = [
            {name: getattr(run, name) for name in names}
            | {"settings": run.settings, "applicable": True, "reason": None}
            | {"parameters": counted[run.id].model_dump() if run.id in counted else None}
            for run in unique.values()
        ]
    write_json(
        folder / "plan.json", {"study": "mine", "command": "tunebench run a.yaml", "runs": planned, "cells": cells}
    )
    (folder / "study.yaml").write_text("name: mine\n")
    for result in results:
        write_result(folder / "runs" / result.run.id, result)
    for run, rows in (answers or {}).items():
        lines = [json.dumps({"id": number, **row}, ensure_ascii=False) + "\n" for number, row in enumerate(rows)]
        (folder / "runs" / run / "predictions.jsonl").write_text("".join(lines))
    build(folder)
    return folder


def answers_in(out: Path) -> dict[str, Answers | None]:
    """What the runs of a study's folder answered."""
    return {folder.name: read_answers(out, folder.name) for folder in (out / "runs").iterdir()}
