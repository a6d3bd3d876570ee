"""DoRA: a low-rank update of the weights' direction, and a trained magnitude."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques import _peft

if TYPE_CHECKING:
    from torch import nn


class Dora(_peft.LowRank, _peft.Ranked):
    """m (W + (alpha / rank) B A) / ||W + (alpha / rank) B A||, with column norms; m, A, B and the head train.

    Liu et al. 2024, section 4.1; PEFT's implementation.
    """

    name = "dora"
    title = "DoRA"
    paper = "Liu et al. 2024, DoRA, https://arxiv.org/abs/2402.09353"

    learning_rate: float = Field(5e-4, gt=0, le=1, description="as LoRA's; Liu et al. 2024 keep LoRA's settings")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import LoraConfig

        return _peft.wrapped(model, LoraConfig(r=self.rank, use_dora=True, **self.shared(model, family)))
