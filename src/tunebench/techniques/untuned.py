"""The model as it comes: zero steps of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebench.families.base import Family
from tunebench.techniques.base import Technique, freeze

if TYPE_CHECKING:
    from torch import nn


class Untuned(Technique):
    """The pretrained backbone with a randomly initialised head: the starting point of every technique."""

    name = "untuned"
    title = "Untuned model"
    paper = "the zero-step row of a comparison; no training"

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """Nothing trains."""
        freeze(model)
        return model
