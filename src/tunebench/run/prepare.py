"""The first part of a run: a model on its device with all that it is trained and measured on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tunebench._util.errors import RunError, UserError
from tunebench.engine import measure, train
from tunebench.engine.cut import Cut
from tunebench.engine.events import Observer
from tunebench.engine.frozen_trunk import TrunkCache
from tunebench.engine.precision import Precision, autocast_of, make_accelerator
from tunebench.engine.settle import settle
from tunebench.evaluation.metrics import METRICS
from tunebench.objectives.base import Features, Objective
from tunebench.records import ModelInfo, Notice, Parameters
from tunebench.run import remarks
from tunebench.run.cell import Cell
from tunebench.run.evaluate import EpochComparison, compared_rows, with_beams
from tunebench.run.job import Job
from tunebench.tasks.base import Split
from tunebench.tasks.load import SPLITS, Data
from tunebench.techniques.base import Trained
from tunebench.zoo import checkpoints


@dataclass(frozen=True)
class Prepared:
    """A model on its device with all that it is trained and measured on; `local` is the checkpoint's folder."""

    cell: Cell
    local: Path
    examples: Data
    objective: Objective
    features: dict[str, Features]
    comparison: EpochComparison
    model: Any
    parameters: Parameters
    backbone: ModelInfo
    cut: Cut
    accelerator: Accelerator
    precision: Precision
    notices: list[Notice]

    @property
    def autocast(self) -> Any:
        """Makes the context of a forward pass."""
        return autocast_of(self.accelerator.device, self.precision)


def prepare(job: Job, cell: Cell, examples: Data, observe: Observer) -> Prepared:
    """Encode the examples, build the model and cut it above what is frozen."""
    budget, technique, family = job.run.training, cell.technique, cell.family
    accelerator, precision = make_accelerator(budget.precision, Path(job.folder), job.track)
    local, backbone = checkpoints.fetch(cell.checkpoint, technique.reads_weights)
    objective = cell.objective(examples.labels, family.tokenizer(local))
    read: tuple[Split, ...] = ("train", "validation") if job.trial else SPLITS
    features: dict[str, Features] = {split: objective.encode(examples.splits[split]) for split in read}
    features["train"], blank = _without_unlabelled(objective, features)
    of_loss = _weighed(objective, examples) if isinstance(technique, Trained) else []
    comparison = _comparison(cell, examples, objective)
    if comparison.split not in features:
        features[comparison.split] = objective.encode(comparison.examples)
    steps = budget.epochs * -(-len(features["train"]) // budget.batch_size)
    model = cell.build(local, objective, steps)
    parameters = measure.count_parameters(model, family)
    if isinstance(technique, Trained) and not parameters.trainable:
        raise RunError(f"{job.run.technique} trains nothing on {job.run.model}")
    settle(model, family, accelerator.device, precision, objective.ranks)
    cache = TrunkCache(Path(job.cache), budget.cache_gigabytes * 1e9)
    cut = Cut(
        model,
        family,
        objective,
        features,
        accelerator,
        precision,
        backbone.fingerprint,
        cache,
        budget.evaluation_batch_tokens,
        observe,
    )
    cut.source(comparison.split)  # now, so that its trunk is not counted among the seconds of the first evaluation
    pooling = cell.pooling(local)
    notices = [*blank, *(pooling.notices if pooling else ()), *of_loss]
    return Prepared(
        cell,
        local,
        examples,
        objective,
        features,
        comparison,
        model,
        parameters,
        backbone,
        cut,
        accelerator,
        precision,
        notices,
    )


def _weighed(objective: Objective, examples: Data) -> list[Notice]:
    """Weigh the loss's classes as the training split asks, and say so."""
    objective.weigh(examples.splits["train"])
    return remarks.on_loss(objective)


def _without_unlabelled(objective: Objective, features: dict[str, Features]) -> tuple[Features, list[Notice]]:
    """Training features that have a label to learn, and how many inputs lose all their tokens."""
    blank = {split: objective.blank(rows) for split, rows in features.items()}
    useless = objective.unlabelled(features["train"], blank["train"])
    if len(useless) == len(features["train"]):
        raise UserError("the tokenizer keeps nothing of any training text. Check the text column and the model.")
    train = features["train"].without(set(useless)) if useless else features["train"]
    return train, [*remarks.on_blank(blank, len(useless)), *remarks.on_unseen_words(features)]


def training_of(prepared: Prepared, technique: Trained) -> train.TrainingSetup:
    """What trains; nothing is kept of an epoch that is the best so far."""
    run, model = prepared.cell.run, prepared.model
    main = run.task.metrics[0]
    return train.TrainingSetup(
        model=model,
        network=prepared.cut.network,
        groups=technique.parameter_groups(model, prepared.cell.family, run.training.weight_decay),
        source=prepared.cut.source("train"),
        objective=prepared.objective,
        autocast=prepared.autocast,
        validate=lambda: prepared.comparison.scores(prepared.cut, run.task.metrics),
        main_metric=(main, METRICS[main].higher_is_better),
        on_best=lambda: None,
        technique=technique,
    )


def _comparison(cell: Cell, examples: Data, objective: Objective) -> EpochComparison:
    budget, whole = cell.run.training, examples.splits["validation"]
    rows = compared_rows(budget.validation_rows, len(whole))
    compared = [whole[row] for row in rows]
    split = "validation" if len(compared) == len(whole) else "comparison"
    cheaper = with_beams(objective, budget.validation_beams)
    gold = cell.run.task.references(compared, examples.labels)
    return EpochComparison(split, rows, compared, gold, cheaper, split == "validation" and cheaper is objective)
