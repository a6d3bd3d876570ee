"""A run that pauses at the end of an epoch: its record, and the file of its validation answers."""

from dataclasses import dataclass, field

from tunebench.engine import measure, train
from tunebench.engine.cut import TrunkCosts
from tunebench.records import Epoch, Paused, PausedCost, RunInfo

VALIDATION = "validation.jsonl"
"""The answers to the validation examples at the pause, in the format of `predictions.jsonl`."""


@dataclass(frozen=True)
class Pause:
    """The state of a training that has not ended; nothing is measured apart from it yet."""

    state: train.State
    trunks: TrunkCosts
    peaks: measure.Peaks
    apart: measure.Spent = field(default_factory=measure.Spent)


def paused(info: RunInfo, reason: str, state: train.State, cost: PausedCost) -> Paused:
    """The record of a run that has paused at the end of an epoch."""
    return Paused(
        reason=reason,
        run=info,
        epoch=state.epoch,
        best_epoch=state.best_epoch,
        history=[Epoch.model_validate(epoch) for epoch in state.history],
        cost=cost,
    )
