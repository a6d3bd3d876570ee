"""Runs of baselines: fit on the training examples, predict the test split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunebench._util.files import ordinary_permissions
from tunebench.engine import measure, train
from tunebench.engine.cut import TrunkCosts
from tunebench.engine.evaluate import score
from tunebench.engine.latency import Latency, middle, seconds
from tunebench.engine.precision import make_accelerator
from tunebench.engine.pretrained import Pretrained
from tunebench.families.base import Pooling
from tunebench.records import ModelInfo, Notice, Parameters
from tunebench.run import remarks
from tunebench.run.cell import Cell
from tunebench.run.pause import VALIDATION, Pause
from tunebench.run.record import Outcome, answered, write_answers
from tunebench.tasks.load import Data
from tunebench.techniques.base import Baseline, Predictor, Question
from tunebench.zoo import checkpoints


@dataclass(frozen=True)
class Asked:
    """The pretrained model that a baseline asks, where it asks one.

    Attributes:
        device: where it computes.
        model: None where none is asked.
        info: its checkpoint.
        pooling: how it makes the vector of a text.
        notices: how it makes the vector of a text.
    """

    device: torch.device
    model: Pretrained | None = None
    info: ModelInfo | None = None
    pooling: Pooling | None = None
    notices: tuple[Notice, ...] = ()


def fit_baseline(cell: Cell, baseline: Baseline, examples: Data, folder: Path) -> Outcome:
    """Fit a baseline, save it in the run's folder, and predict the test split."""
    fitted, test = _fitted(cell, baseline, examples, folder), examples.splits["test"]
    predictor, asked, watch = fitted.predictor, fitted.asked, fitted.watch
    saved = predictor.save(folder)
    ordinary_permissions(*saved)
    predictions, details = predictor.predict(test)
    (index,) = middle([len(str(example)) for example in test])
    return Outcome(
        predictions=predictions,
        details=details,
        validation=fitted.validation,
        parameters=_parameters(predictor, asked.model),
        environment=measure.environment(asked.device, "float32" if asked.model else "float64"),
        state=train.State(seconds=watch.seconds, cpu_seconds=watch.cpu_seconds),
        saved=saved,
        peaks=measure.Peaks(),
        latency=Latency(seconds=seconds(lambda: predictor.predict(test[index : index + 1]))),
        backbone=asked.info,
        pooling=asked.pooling,
        notices=[
            *asked.notices,
            *(remarks.on_truncated(asked.model) if asked.model else ()),
            *remarks.on_loss_of_baseline(cell.run.task, baseline),
        ],
        summary=predictor.summary,
    )


def try_baseline(cell: Cell, baseline: Baseline, examples: Data, folder: Path) -> Pause:
    """Fit a baseline and score it on the validation split only, as one epoch; only its answers are kept."""
    fitted = _fitted(cell, baseline, examples, folder)
    watch, validation, task = fitted.watch, examples.splits["validation"], cell.run.task
    asked, gold = [task.shown(example) for example in validation], task.references(validation, examples.labels)
    write_answers(folder / VALIDATION, answered(range(len(gold)), asked, fitted.answers, gold, fitted.details))
    epoch = {"epoch": 1, "train_loss": None, "validation": fitted.validation, "seconds": sum(watch.seconds.values())}
    state = train.State(epoch=1, best_epoch=1, history=[epoch], seconds=watch.seconds, cpu_seconds=watch.cpu_seconds)
    return Pause(state, TrunkCosts(), measure.Peaks())


@dataclass(frozen=True)
class _Fitted:
    """A fitted baseline, what it asked, and its answers to the validation split with their scores."""

    predictor: Predictor
    asked: Asked
    answers: list[Any]
    details: list[Any]
    validation: dict[str, float | None]
    watch: measure.Stopwatch


def _fitted(cell: Cell, baseline: Baseline, examples: Data, folder: Path) -> _Fitted:
    run, watch, validation = cell.run, measure.Stopwatch(), examples.splits["validation"]
    asked = asked_of(cell, folder)
    question = Question(run.task, examples.labels, asked.model)
    with watch.time("train"):
        predictor = baseline.fit(examples.splits["train"], validation, question, run.seed)
    with watch.time("evaluation"):
        guesses, details = predictor.predict(validation)
        scores = score(run.task.metrics, guesses, run.task.references(validation, examples.labels))
    return _Fitted(predictor, asked, guesses, details, scores, watch)


def asked_of(cell: Cell, folder: Path) -> Asked:
    """What a baseline asks; `folder` is the run's."""
    if not cell.run.entry.reads_model:
        return Asked(torch.device("cpu"))
    accelerator, _ = make_accelerator("float32", folder, None)
    local, info = checkpoints.fetch(cell.checkpoint)
    model, pooling = cell.pretrained(local, accelerator.device)
    return Asked(accelerator.device, model, info, pooling.way, pooling.notices)


def _parameters(predictor: Predictor, model: Pretrained | None) -> Parameters:
    """What it learned, and the model's numbers, which stay as they are."""
    learned = predictor.parameters
    total = learned + (model.parameters if model else 0)
    return Parameters(total=total, trainable=learned, technique=learned, head=0)
