"""Values of a setting that are worth searching, declared beside its default."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Worth:
    """What a technique declares of a setting, as metadata of its field: `Annotated[float, Worth(...)]`.

    Attributes:
        source: where it is known from.
        around: log-uniform from the default divided by this factor to the default times it.
        most: the largest value that an interval may have.
        choices: these values.
        shares: shares of the model's lower layers; where their number is unknown the default stays.
        objectives: those that the setting concerns; empty: all.
    """

    source: str
    around: float | None = None
    most: float = float("inf")
    choices: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    objectives: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.around:
            return f"default / {self.around:g} to {self.around:g} x default, log-uniform"
        if self.shares:
            return f"{', '.join(f'{share:.0%}' for share in self.shares)} of the layers"
        return ", ".join("+".join(c) if isinstance(c, tuple) else str(c) for c in self.choices)


@dataclass(frozen=True)
class Range:
    """What a search draws a setting from: an interval, ends included, or a list of choices.

    Attributes:
        default: the first trial's value.
        whole: whether the interval holds whole numbers only.
    """

    default: Any
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.choices:
            return ", ".join("+".join(c) if isinstance(c, tuple) else str(c) for c in self.choices)
        return f"{self.low:g} to {self.high:g}{', log-uniform' if self.log else ''}"

    @property
    def points(self) -> Sequence[Any]:
        """The values at which a mistake in the range would show: its ends, or all choices."""
        if self.choices:
            return self.choices
        return [int(end or 0) if self.whole else end for end in (self.low, self.high)]


def resolved(worth: Worth, default: Any, objective: str, layers: int | None) -> Range | None:
    """The range of a declaration for one cell; None where the setting does not concern it."""
    if worth.objectives and objective not in worth.objectives:
        return None
    if worth.around:
        return Range(default, default / worth.around, min(default * worth.around, worth.most), log=True)
    if worth.shares:
        if not layers:
            return None
        depths = tuple(sorted({max(1, round(layers * share)) for share in worth.shares}))
        return Range(depths[len(depths) // 2], choices=depths)
    return Range(default, choices=worth.choices)
