"""How a run's figures came about, as notices in its record."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunebench._util.words import counted, plural
from tunebench.engine import train
from tunebench.engine.cut import Cut
from tunebench.engine.latency import Latency
from tunebench.engine.measure import idle_parameters
from tunebench.engine.pretrained import Pretrained
from tunebench.families.base import base_of, fresh_of, redrawn_of
from tunebench.objectives._weighing import WeighingObjective
from tunebench.objectives.base import Features, Objective
from tunebench.records import Notice
from tunebench.run.evaluate import EpochComparison
from tunebench.tasks.base import Task
from tunebench.tasks.weighing import WeighingTask
from tunebench.techniques.base import Baseline


def on_features(truncated: Mapping[str, int], limit: int) -> list[Notice]:
    """How many inputs or answers were truncated, by kind and split."""
    return [
        Notice(code="truncated", message=f"{counted(count, what, 'were')} truncated to {plural(limit, 'token')}.")
        for what, count in truncated.items()
    ]


def on_blank(blank: Mapping[str, Sequence[int]], left_out: int) -> list[Notice]:
    """Inputs of which the tokenizer keeps nothing, by split.

    Args:
        blank: split -> their places.
        left_out: how many of those in train have no label either.
    """
    counts = ", ".join(f"{len(rows):,} {split}" for split, rows in blank.items() if rows)
    if not counts:
        return []
    text = f"The tokenizer keeps no token of some inputs (empty, or of invisible characters only): {counts}."
    if left_out:
        have, so = ("has", "it was") if left_out == 1 else ("have", "they were")
        text += f" {left_out:,} of the training inputs {have} no label that the loss can use, so {so} left out."
    return [Notice(code="blank", message=text)]


def on_unseen_words(features: Mapping[str, Features]) -> list[Notice]:
    """Words in tagged sentences of which the tokenizer keeps nothing, by split."""
    counts = ", ".join(f"{part.unseen_words:,} {split}" for split, part in features.items() if part.unseen_words)
    text = f"The tokenizer keeps nothing of some words, so they have no loss and their answer is O: {counts}."
    return [Notice(code="unseen_words", message=text)] if counts else []


def on_truncated(model: Pretrained) -> list[Notice]:
    """How many texts were truncated for a baseline's model."""
    if not model.truncated:
        return []
    count = counted(len(model.truncated), "different texts" if len(model.truncated) > 1 else "texts", "were")
    return [Notice(code="truncated", message=f"{count} truncated to {plural(model.max_tokens, 'token')}.")]


def on_trunk(cut: Cut) -> list[Notice]:
    """Whether the trunk's outputs were cached."""
    notices = []
    if cut.cached:
        text = (
            f"The outputs of {plural(cut.depth, 'frozen stage')} were computed once and reused. They come from batches "
            "sorted by length, so scores can differ in their last digits from a run that computes them at every step."
        )
        notices.append(Notice(code="cached", message=text))
    if cut.over_budget:
        text = (
            "The frozen stages' outputs exceed training.cache_gigabytes, or the disk is full, so they were computed at "
            "every step."
        )
        notices.append(Notice(code="uncached", message=text))
    if cut.unproven:
        text = (
            f"The model could not be cut above its {plural(cut.unproven, 'frozen stage')}, because the parts gave "
            "other answers than the whole. It trained uncut, which takes longer."
        )
        notices.append(Notice(code="uncut", message=text))
    return notices


def on_fresh(model: Any) -> list[Notice]:
    """The checkpoint's modules that were never trained, with their weights, and its own head, which was not used."""
    backbone = base_of(model).base_model
    fresh = {name: getattr(backbone, name, None) for name in fresh_of(model)}
    redrawn = redrawn_of(model)
    notices = []
    if redrawn:
        text = (
            f"The checkpoint's own head ({', '.join(redrawn)}) was not used, because its labels may be others or in "
            "another order. The head was drawn from the seed, as for every checkpoint."
        )
        notices.append(Notice(code="fresh_head", message=text))
    if not fresh:
        return notices
    idle = idle_parameters(model)
    weights = (p for module in fresh.values() if module is not None for p in module.parameters() if id(p) not in idle)
    count = sum(p.numel() for p in weights)
    text = (
        f"The checkpoint's {', '.join(fresh)} was never trained or is missing, so it is trained with the head"
        f"{' (' + plural(count, 'weight') + ')' if count else ''}."
    )
    return [*notices, Notice(code="fresh_module", message=text)]


def on_loss(objective: Objective) -> list[Notice]:
    """What classes and hard examples count in the loss, where the task says so."""
    if not isinstance(objective, WeighingObjective):
        return _ignored_in_loss(objective.task, "a model that writes its answers learns words, not classes")
    parts = []
    if objective.weighed:
        counts = objective.weighed
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        parts.append(f"Classes count from {counts[least]:.3g} ({least}) to {counts[most]:.3g} ({most}) in the loss.")
    if objective.focal_gamma:
        parts.append(f"The loss is the focal loss with gamma {objective.focal_gamma:g}.")
    return [Notice(code="loss", message=" ".join(parts))] if parts else []


def on_loss_of_baseline(task: Task, baseline: Baseline) -> list[Notice]:
    """Which wishes about the loss a baseline ignores."""
    if task.form in baseline.weighs:
        return _ignored_in_loss(task, "a linear model has no focal loss here", "focal_gamma")
    return _ignored_in_loss(task, f"{baseline.title} has no such loss")


def _ignored_in_loss(task: Task, why: str, *fields: str) -> list[Notice]:
    wished = task.changed_loss if isinstance(task, WeighingTask) else {}
    ignored = [name for name in wished if not fields or name in fields]
    text = f"{' and '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored: {why}."
    return [Notice(code="loss", message=text)] if ignored else []


def on_training(state: train.State) -> list[Notice]:
    """A checkpoint that was damaged, and a training loss that rose."""
    notices = []
    if state.damaged:
        text = (
            f"A checkpoint was damaged ({', '.join(state.damaged)}), so after an interruption the training went back "
            "to an earlier one, or started again. The weights are the same; the cost is higher."
        )
        notices.append(Notice(code="checkpoint_damaged", message=text))
    losses = [epoch["train_loss"] for epoch in state.history]
    if len(losses) > 1 and losses[-1] > losses[0]:
        text = f"The training loss rose from {losses[0]:.3g} to {losses[-1]:.3g}: the learning rate may be too high."
        notices.append(Notice(code="diverged", message=text))
    return notices


def on_comparison(comparison: EpochComparison, state: train.State) -> list[Notice]:
    """How epochs were compared, if it differs from how the final figures are computed."""
    if comparison.exact or not state.best_epoch:
        return []
    objective = comparison.objective
    way = f", decoded with {plural(objective.beams, 'beam')}" if objective.writes else ""
    text = (
        f"Epochs were compared on {plural(len(comparison.gold), 'validation example')}{way}. The final figures are "
        "computed on the whole split with the task's own decoding."
    )
    return [Notice(code="comparison", message=text)]


def on_latency(latency: Latency) -> list[Notice]:
    """Why the latency of the merged model is missing, if the technique is one that merges."""
    if latency.not_merged is None:
        return []
    text = f"The latency of the merged model could not be measured. {latency.not_merged}"
    return [Notice(code="not_merged", message=text)]


def on_answers(objective: Objective, predictions: list[Any], details: list[Any]) -> list[Notice]:
    """How many generated test answers are no valid label or score."""
    if not (objective.writes and objective.closed):
        return []
    text = objective.task.unreadable(predictions, details, objective.labels)
    return [Notice(code="unreadable", message=text)] if text else []
