"""What a reader of a run's figures must know of how they came about, as notices of its record."""

from collections.abc import Mapping
from typing import Any

from tunebench.engine import train
from tunebench.engine.cut import Cut
from tunebench.engine.latency import Latency
from tunebench.objectives.base import Objective
from tunebench.records import Notice
from tunebench.run.evaluate import EpochComparison


def on_features(truncated: Mapping[str, int], limit: int) -> list[Notice]:
    """How many inputs or answers were cut; `truncated` says what -> how many."""
    return [
        Notice(code="truncated", message=f"{count} {what} were cut at {limit} tokens.")
        for what, count in truncated.items()
    ]


def on_model(cut: Cut, fresh: tuple[str, ...]) -> list[Notice]:
    """How the outputs of frozen stages came about, and which modules of the checkpoint were never trained."""
    found = []
    if cut.cached:
        text = (
            f"The outputs of {cut.depth} frozen stages were computed once and kept. They come from batches sorted by "
            "length, so scores can differ in their last digits from a run that computes them at every step."
        )
        found.append(Notice(code="cached", message=text))
    if cut.over_budget:
        text = (
            "The frozen stages' outputs exceed training.cache_gigabytes, or the disk is full: computed at every step."
        )
        found.append(Notice(code="uncached", message=text))
    if fresh:
        text = (
            f"The checkpoint's {', '.join(fresh)} was never trained, or is missing: "
            "it belongs to the head, and trains with it."
        )
        found.append(Notice(code="fresh_module", message=text))
    return found


def on_training(state: train.State) -> list[Notice]:
    """A training loss that rose."""
    losses = [epoch["train_loss"] for epoch in state.history]
    if len(losses) < 2 or losses[-1] <= losses[0]:
        return []
    text = f"The training loss rose from {losses[0]:.3g} to {losses[-1]:.3g}: the learning rate may be too high."
    return [Notice(code="diverged", message=text)]


def on_comparison(comparison: EpochComparison, state: train.State) -> list[Notice]:
    """How epochs were compared, where it was not as the final figures are made."""
    if comparison.exact or not state.best_epoch:
        return []
    objective = comparison.objective
    way = f", answers written with {objective.beams} beam{'s' * (objective.beams > 1)}" if objective.writes else ""
    text = (
        f"Epochs were compared on {len(comparison.gold)} validation examples{way}. The figures are of the whole split, "
        "with the task's own way of answering."
    )
    return [Notice(code="comparison", message=text)]


def on_latency(latency: Latency) -> list[Notice]:
    """Why an answer of the merged model was not timed, where one would expect it."""
    if latency.not_merged is None:
        return []
    text = f"The latency of the merged model could not be measured. {latency.not_merged}"
    return [Notice(code="not_merged", message=text)]


def on_answers(objective: Objective, predictions: list[Any], details: list[Any]) -> list[Notice]:
    """How many written answers of the test split were none of those asked for."""
    if not (objective.writes and objective.closed):
        return []
    text = objective.task.unreadable(predictions, details, objective.labels)
    return [Notice(code="unreadable", message=text)] if text else []
