"""What a run costs, over all its sittings.

Frozen trunks are charged by what computing them takes (`engine/frozen_trunk.py`), not by what this run did: so the
seconds of a run do not depend on who computed a trunk first, or on who waited for it.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunebench.engine import measure, train
from tunebench.engine.cut import TrunkCosts
from tunebench.engine.measure import Spent
from tunebench.records import Paused, PausedCost, read_result
from tunebench.run.load import Load


@dataclass(frozen=True)
class Sitting:
    """What the present process has spent on a run.

    Attributes:
        whole: from its beginning, visits to the trunk's cache included.
        peaks: of memory.
        trunks: what the run is charged for trunks, and what it spent on them.
        load: what else ran; None while it is not over.
        energy: in kWh; None where it was not measured.
    """

    whole: Spent
    peaks: measure.Peaks
    trunks: TrunkCosts = field(default_factory=TrunkCosts)
    load: Load | None = None
    energy: float | None = None


def spent(state: train.State, sitting: Sitting) -> dict[str, float]:
    """What a run has cost in all sittings (seconds, bytes, kWh), except trunks and what the training loop measures.

    A sitting that was killed counts up to its last checkpoint: what came after is made again.
    """
    earlier, apart = state.earlier, sitting.whole - sitting.trunks.inside
    peaks = (sitting.peaks, sitting.trunks.peaks)
    measured = {} if sitting.energy is None else {"energy": sitting.energy + earlier.get("energy", 0.0)}
    return {
        **measured,
        "total": apart.seconds + earlier.get("total", 0.0),
        "cpu": apart.cpu_seconds + earlier.get("cpu", 0.0),
        "computed": sitting.trunks.computed + earlier.get("computed", 0.0),
        "memory": max(*(peak.memory for peak in peaks), earlier.get("memory", 0)),
        "gpu_memory": max(*(peak.gpu_memory or 0 for peak in peaks), earlier.get("gpu_memory", 0)),
    }


def cost_until_now(folder: Path, state: train.State, sitting: Sitting) -> PausedCost:
    """A run's cost over all its sittings.

    A sitting that paused wrote its answers after its last checkpoint, so its record may know of more seconds.
    """
    before = _before(folder, state.history)
    if before is not None:
        earlier = {name: max(value, state.earlier.get(name, 0)) for name, value in _without_trunks(before).items()}
        state = replace(state, earlier=earlier)
    cost, trunks = spent(state, sitting), sitting.trunks
    charged = trunks.train + trunks.validation + trunks.test
    return PausedCost(
        trunk_seconds=trunks.train.seconds,
        train_seconds=state.seconds.get("train", 0.0),
        evaluation_seconds=state.seconds.get("evaluation", 0.0) + trunks.validation.seconds,
        total_seconds=cost["total"] + charged.seconds,
        validation_trunk_seconds=trunks.validation.seconds,
        test_trunk_seconds=trunks.test.seconds,
        computed_trunk_seconds=cost["computed"],
        tuning_cpu_seconds=trunks.train.cpu_seconds + state.cpu_seconds.get("train", 0.0),
        total_cpu_seconds=cost["cpu"] + charged.cpu_seconds,
        peak_memory_bytes=int(cost["memory"]),
        peak_gpu_memory_bytes=int(cost["gpu_memory"]) or None,
        energy_kwh=cost.get("energy"),
    )


def _without_trunks(cost: PausedCost) -> dict[str, Any]:
    """As `spent` gives it."""
    trunks = cost.trunk_seconds + cost.validation_trunk_seconds + cost.test_trunk_seconds
    return {
        "total": cost.total_seconds - trunks,
        "cpu": cost.total_cpu_seconds,
        "computed": cost.computed_trunk_seconds,
        "memory": cost.peak_memory_bytes,
        "gpu_memory": cost.peak_gpu_memory_bytes or 0,
        **({} if cost.energy_kwh is None else {"energy": cost.energy_kwh}),
    }


def _before(folder: Path, history: list[dict[str, Any]]) -> PausedCost | None:
    """The cost at the pause; None without one, or if training has restarted since, as with other data."""
    result = read_result(folder)
    if isinstance(result, Paused) and [epoch.model_dump() for epoch in result.history] == history[: result.epoch]:
        return result.cost
    return None
