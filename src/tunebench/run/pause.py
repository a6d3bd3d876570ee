"""A run that pauses at the end of an epoch: its record, its validation answers, and its cost until then."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench.engine import measure, train
from tunebench.records import Epoch, Paused, PausedCost, RunInfo, read_result

VALIDATION = "validation.jsonl"
"""The answers to the validation examples at the pause, in the format of `predictions.jsonl`."""


@dataclass(frozen=True)
class Pause:
    """The state of a training that has not ended."""

    state: train.State
    trunk_seconds: float
    peaks: measure.Peaks


def paused(info: RunInfo, epochs: int, state: train.State, cost: PausedCost) -> Paused:
    """The record of a run that has paused at the end of an epoch."""
    return Paused(
        reason=f"{state.epoch} of at most {epochs} epochs are trained",
        run=info,
        epoch=state.epoch,
        best_epoch=state.best_epoch,
        history=[Epoch.model_validate(epoch) for epoch in state.history],
        cost=cost,
    )


def cost_until_now(
    folder: Path, state: train.State, trunk_seconds: float, total_seconds: float, peaks: measure.Peaks
) -> PausedCost:
    """A run's cost, including the cost before a pause from which this training resumed."""
    before = _before(folder, state.history)
    gpu = [peak for peak in (peaks.gpu_memory, before and before.peak_gpu_memory_bytes) if peak is not None]
    return PausedCost(
        trunk_seconds=trunk_seconds + (before.trunk_seconds if before else 0.0),
        train_seconds=state.seconds.get("train", 0.0),
        evaluation_seconds=state.seconds.get("evaluation", 0.0),
        total_seconds=total_seconds + (before.total_seconds if before else 0.0),
        peak_memory_bytes=max(peaks.memory, before.peak_memory_bytes if before else 0),
        peak_gpu_memory_bytes=max(gpu, default=None),
    )


def _before(folder: Path, history: list[dict[str, Any]]) -> PausedCost | None:
    """The cost at the pause; None without one, or if training has restarted since, as with other data."""
    result = read_result(folder)
    if isinstance(result, Paused) and [epoch.model_dump() for epoch in result.history] == history[: result.epoch]:
        return result.cost
    return None
