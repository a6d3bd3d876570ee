"""Tasks with classes, in whose loss rare classes and hard examples may count more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from tunebench._util.errors import UserError, did_you_mean, shown
from tunebench.tasks.base import Task, as_written

BALANCED = "balanced"


class WeighingTask(Task):
    """A task with classes, in whose loss rare classes and hard examples may count more.

    Attributes:
        class_weights: what each class counts in the loss: `{LABEL: NUMBER}`, 1 for labels that are left out, or
            `balanced`, examples / (classes * examples of the class) in the training split. Where several labels may
            apply, it is what the texts with the label count for that label, `balanced` texts without / texts with it.
        focal_gamma: a term of the loss counts (1 - p)^gamma, where p is the probability of the right answer: the focal
            loss of Lin et al. 2017; 0: cross entropy.
    """

    weighing: ClassVar[tuple[str, ...]] = ("class_weights", "focal_gamma")
    """Its fields: settings of the objectives that classify."""

    class_weights: Literal["balanced"] | dict[str, float] | None = None
    focal_gamma: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights(cls, given: Any) -> Any:
        if given is None or given == BALANCED:
            return given
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"{shown(repr(given))} gives no class a weight. Write balanced, or {{LABEL: NUMBER}}.")
        weights = {as_written(label): weight for label, weight in given.items()}
        for label, weight in weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
                raise ValueError(
                    f"the weight {shown(repr(weight))} of '{label}' is no number above 0. 1 leaves a class as it is."
                )
        return weights

    def labels_fit(self, labels: Sequence[str]) -> None:
        """Check the labels that the data turned out to have.

        Raises:
            UserError: a weight belongs to none of them.
        """
        for label in self.class_weights if isinstance(self.class_weights, dict) else ():
            if label not in labels:
                known = did_you_mean(label, labels)
                raise UserError(f"task '{self.name}': class_weights: there is no label '{label}'. {known}")

    def weights(self, train: Sequence[Any], labels: Sequence[str]) -> tuple[float, ...] | None:
        """What each class counts, in the order of the labels; None: all the same.

        A class without an example, or in all of them where several may apply, counts 1.
        """
        if self.class_weights is None:
            return None
        if isinstance(self.class_weights, dict):
            return tuple(self.class_weights.get(label, 1.0) for label in labels)
        counts = Counter(index for row in train for index in _classes(row.label))
        if self.form == "classes":
            return tuple((len(train) - count) / count or 1.0 if count else 1.0 for count in _each(counts, labels))
        total = counts.total()
        return tuple(total / (len(counts) * count) if count else 1.0 for count in _each(counts, labels))

    @property
    def changed_loss(self) -> dict[str, Any]:
        """Which of the fields say anything."""
        return {name: value for name in self.weighing if (value := getattr(self, name))}


def _classes(label: Any) -> Sequence[int]:
    return label if isinstance(label, tuple) else (label,)


def _each(counts: Counter[int], labels: Sequence[str]) -> list[int]:
    return [counts[index] for index in range(len(labels))]
