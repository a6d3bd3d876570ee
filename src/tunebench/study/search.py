"""The search of a study: every technique gets the same budget to find its settings."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from tunebench._util.base import Strict
from tunebench._util.ranges import Range
from tunebench._util.words import plural
from tunebench.techniques.base import Entry

TRIAL_SEED = 1000
"""The seed of all trials, far from those of the final runs, which are therefore fresh."""
FINAL_SEEDS = (0, 1, 2)
"""Those of the chosen settings, unless the study gives `seeds`."""

_KEYS = {"low", "high", "log", "choices", "default"}


class Search(Strict):
    """Settings are searched: each technique of each experiment gets the same number of trials, or the same seconds.

    A trial trains on the train split and is scored on the validation split. The settings with the best score are then
    trained with the study's seeds (0, 1, 2 unless it has some), and only these runs read the test split.

    In a race a trial pauses after epochs 1, 2, 4, ... and ends there if a paired test on validation answers says that
    it is behind the best of its technique.
    """

    trials: int | None = Field(default=None, ge=1, le=10_000, description="of each technique; or give `seconds`")
    seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="of each technique's trials together; or give `trials`"
    )
    sampler: Literal["tpe", "random", "grid", "gp"] = Field(
        default="tpe", description="tree-structured Parzen estimator, random, grid, or Gaussian process; all of Optuna"
    )
    race: bool | None = Field(
        default=None, description="end trials early that are behind; null: true with seconds, false with trials"
    )

    @model_validator(mode="after")
    def _one_budget(self) -> "Search":
        if (self.trials is None) == (self.seconds is None):
            raise ValueError("give each technique either trials: NUMBER or seconds: NUMBER.")
        return self

    @model_validator(mode="after")
    def _two_to_race(self) -> "Search":
        if self.race and self.trials == 1:
            raise ValueError(
                "race: true with trials: 1: a race needs two trials at least. Give more trials, or leave race out."
            )
        return self

    @property
    def races(self) -> bool:
        """Whether trials that are behind end early."""
        return self.seconds is not None if self.race is None else self.race

    @property
    def budget(self) -> str:
        """In words."""
        return plural(self.trials, "trial") if self.trials else f"{self.seconds:g} seconds of trials"


class _Interval(Strict):
    """A range as a study writes it."""

    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None


def is_range(value: Any) -> bool:
    """Whether a setting's value is a range: {low: ..., high: ...} or {choices: [...]}."""
    return (
        isinstance(value, dict)
        and bool(value)
        and set(value) <= _KEYS
        and bool({"low", "high", "choices"} & set(value))
    )


def ranges_of(cls: type[Entry], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Range]]:
    """A technique's settings with the defaults of its ranges, and the ranges.

    Raises:
        ValueError: a range is empty, or does not hold its default.
        ValidationError: a value of a range is none that the setting may have.
    """
    fixed = {name: value for name, value in settings.items() if not is_range(value)}
    written = {name: _written(name, value) for name, value in settings.items() if is_range(value)}
    starts = {name: one.default for name, one in written.items() if one.default is not None}
    base = cls.model_validate({**fixed, **starts})
    ranges = {name: _range(cls, base, name, one) for name, one in written.items()}
    return {**fixed, **{name: one.default for name, one in ranges.items()}}, ranges


def _written(name: str, value: Any) -> _Interval:
    try:
        one = _Interval.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(f"{name}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}.") from None
    if bool(one.choices) == (one.low is not None or one.high is not None):
        raise ValueError(f"{name}: a range is {{low: ..., high: ...}} or {{choices: [...]}}.")
    if not one.choices and (one.low is None or one.high is None or one.low >= one.high):
        raise ValueError(f"{name}: the range from {one.low} to {one.high} is empty. Give low: and a larger high:.")
    if one.log and (one.low or 0) <= 0:
        raise ValueError(f"{name}: a logarithmic range begins above 0, not at {one.low}.")
    return one


def _range(cls: type[Entry], base: Entry, name: str, one: _Interval) -> Range:
    """The range with values as the technique reads them."""
    default = getattr(base, name)

    def read(value: Any) -> Any:
        return getattr(cls.model_validate({**base.model_dump(), name: value}), name)

    if one.choices:
        choices = tuple(read(value) for value in one.choices)
        if default not in choices:
            raise ValueError(_without_default(name, default, ", ".join(map(str, choices))))
        return Range(default, choices=choices)
    whole = isinstance(default, int) and not isinstance(default, bool)
    if not isinstance(default, int | float) or isinstance(default, bool):
        raise ValueError(f"{name}: it is no number. Give choices: [...], or default: with a number.")
    space = Range(default, one.low, one.high, one.log, whole)
    for point in space.points:
        read(point)
    if not (one.low or 0) <= default <= (one.high or 0):
        raise ValueError(_without_default(name, default, f"{one.low:g} to {one.high:g}"))
    return space


def _without_default(name: str, default: Any, values: str) -> str:
    return (
        f"{name}: the range {values} does not hold {default}, with which the search begins. "
        "Widen it, or give default: with a value in it."
    )
