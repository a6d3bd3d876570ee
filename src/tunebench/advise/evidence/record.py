"""A finished run as evidence."""

from typing import Any

from tunebench.advise.facts import facts
from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done, EvidenceCell, EvidenceRun, Failed
from tunebench.run.cell import Cell
from tunebench.study import Run
from tunebench.tasks.load import Data
from tunebench.zoo import checkpoints


def cell_of(cell: Cell, data: Data, related: str | None = None) -> EvidenceCell:
    """The cell of a run: its data and its model.

    Raises:
        UserError: the model's files are unavailable.
    """
    run = cell.run
    hidden, layers = cell.family.size(cell.checkpoint.config)
    known = facts(run.task, data)
    metric = METRICS[run.task.metrics[0]]
    return EvidenceCell(
        dataset=run.task.name,
        related=related,
        objective=cell.posed or run.task.objective,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        rows=known.rows,
        labels=known.labels,
        largest=known.largest,
        letters=known.letters,
        data=data.fingerprint(),
        model=run.model,
        family=cell.family.name,
        backbone=checkpoints.fetch(cell.checkpoint, weights=True, download=False)[1].fingerprint,
        hidden=hidden,
        layers=layers,
    )


def begun_of(run: Run) -> EvidenceRun:
    """What is known of a run before it is made."""
    return EvidenceRun(
        run=run.id,
        technique=run.technique,
        settings=changed(run),
        learning_rate=getattr(run.entry, "learning_rate", None),
        seed=run.seed,
        epochs=run.training.epochs,
        batch_size=run.training.batch_size,
    )


def run_of(run: Run, result: Done | Failed) -> EvidenceRun:
    """What is kept of a run."""
    begun = begun_of(run)
    if isinstance(result, Failed):
        return begun.model_copy(update={"reason": result.reason})
    metric, cost = result.main_metric.name, result.cost
    return EvidenceRun(
        **begun.model_dump(exclude_defaults=True),
        curve=tuple(epoch.validation.get(metric) for epoch in result.history),
        best_epoch=result.best_epoch,
        validation=result.metrics.validation.get(metric),
        test=result.main_metric.value,
        steps=cost.steps,
        seconds=cost.trunk_seconds + cost.train_seconds,
        cpu_seconds=cost.tuning_cpu_seconds,
        saved_bytes=cost.saved_bytes,
        peak_memory_bytes=cost.peak_memory_bytes,
        latency=cost.latency_seconds,
        parameters=result.parameters.total,
        trainable=result.parameters.trainable,
    )


def changed(run: Run) -> dict[str, Any]:
    """The settings that are not the defaults; the learning rate has a field of its own."""
    return run.entry.model_dump(mode="json", exclude_defaults=True, exclude={"learning_rate"})
