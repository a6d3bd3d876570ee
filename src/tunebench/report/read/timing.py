"""By which clock the tuning times of a comparison are compared (docs/statistics.md).

Wall-clock seconds measure what else ran, too. Where runs were made under unequal load, techniques are compared by
re-timed steps, if `tunebench time` has measured all of them, else by CPU seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tunebench.records import Done, RetimedCell

_WAITING = 0.1
"""Difference in the share of waiting threads from which on two runs were made under unequal load."""
_WORKERS = 0.5
"""The same, in the mean number of other workers."""


class Clock(Enum):
    """What measured the tuning times; the value follows a time in a sentence."""

    WALL = ""
    CPU = " of CPU time"
    RETIMED = " (re-timed)"


@dataclass(frozen=True)
class Timing:
    """How the tuning time of one row's runs is read.

    Attributes:
        clock: the one of the whole comparison.
        retimed: what `tunebench time` measured of the row.
    """

    clock: Clock = Clock.WALL
    retimed: RetimedCell | None = None

    def tuning(self, result: Done) -> float:
        """Seconds of the training split's trunk and of training."""
        cost = result.cost
        if self.clock is Clock.RETIMED:
            return self.retimed.tuning(cost.steps) if self.retimed else 0.0
        if self.clock is Clock.CPU:
            return cost.tuning_cpu_seconds or 0.0
        return cost.trunk_seconds + cost.train_seconds


def timings(rows: Sequence[Sequence[Done]], retimed: Sequence[RetimedCell | None]) -> list[Timing]:
    """How to read the tuning time of each row of a comparison; `rows` holds the results of each."""
    tuned = [result for row in rows for result in row if result.cost.train_seconds > 0]
    needed = [cell for row, cell in zip(rows, retimed, strict=True) if any(r.cost.train_seconds > 0 for r in row)]
    clock = Clock.WALL
    if needed and all(cell is not None for cell in needed):
        clock = Clock.RETIMED
    elif unequal_load(tuned) and all(_has_cpu(result) for result in tuned):
        clock = Clock.CPU
    return [Timing(clock, cell) for cell in retimed]


def unequal_load(results: Iterable[Done]) -> bool:
    """Whether these results' seconds were measured under unequal load; False where it is unknown."""
    tuned = [result.cost for result in results if result.cost.train_seconds > 0]
    return (
        _range(cost.waiting_share for cost in tuned) > _WAITING
        or _range(cost.other_workers for cost in tuned) >= _WORKERS
    )


def _range(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else 0.0


def _has_cpu(result: Done) -> bool:
    """Whether the CPU did the work, and its seconds are known."""
    return result.cost.tuning_cpu_seconds is not None and result.environment.get("device", "cpu") == "cpu"
