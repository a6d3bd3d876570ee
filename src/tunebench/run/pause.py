"""A run that pauses at the end of an epoch: its record, its validation answers, and its cost until then."""

from dataclasses import dataclass, replace
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


def spent(state: train.State, trunk_seconds: float, total_seconds: float, peaks: measure.Peaks) -> dict[str, float]:
    """What a run has cost in all sittings, in seconds and bytes, except what the training loop measures.

    A sitting that was killed counts up to its last checkpoint: what came after is made again.
    """
    earlier = state.earlier
    return {
        "total": total_seconds + earlier.get("total", 0.0),
        "trunk": trunk_seconds + earlier.get("trunk", 0.0),
        "memory": max(peaks.memory, earlier.get("memory", 0)),
        "gpu_memory": max(peaks.gpu_memory or 0, earlier.get("gpu_memory", 0)),
    }


def cost_until_now(
    folder: Path, state: train.State, trunk_seconds: float, total_seconds: float, peaks: measure.Peaks
) -> PausedCost:
    """A run's cost over all its sittings.

    A sitting that paused wrote its answers after its last checkpoint, so its record may know of more seconds.
    """
    before = _before(folder, state.history)
    if before is not None:
        known = {"total": before.total_seconds, "trunk": before.trunk_seconds, "memory": before.peak_memory_bytes,
                 "gpu_memory": before.peak_gpu_memory_bytes or 0}  # fmt: skip
        earlier = {name: max(value, state.earlier.get(name, 0)) for name, value in known.items()}
        state = replace(state, earlier=earlier)
    cost = spent(state, trunk_seconds, total_seconds, peaks)
    return PausedCost(
        trunk_seconds=cost["trunk"],
        train_seconds=state.seconds.get("train", 0.0),
        evaluation_seconds=state.seconds.get("evaluation", 0.0),
        total_seconds=cost["total"],
        peak_memory_bytes=int(cost["memory"]),
        peak_gpu_memory_bytes=int(cost["gpu_memory"]) or None,
    )


def _before(folder: Path, history: list[dict[str, Any]]) -> PausedCost | None:
    """The cost at the pause; None without one, or if training has restarted since, as with other data."""
    result = read_result(folder)
    if isinstance(result, Paused) and [epoch.model_dump() for epoch in result.history] == history[: result.epoch]:
        return result.cost
    return None
