"""(IA)3: trained vectors that rescale keys, values and the feed-forward network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques import _peft

if TYPE_CHECKING:
    from torch import nn


class Ia3(_peft.PeftTechnique):
    """Keys, values and the feed-forward network's inner activations are multiplied by trained vectors, initially ones.

    Liu et al. 2022, section 3.3; PEFT's implementation. Where one module computes query, key and value (GPT-2), its
    whole output is rescaled. Weight decay leaves the vectors alone: it would pull them away from 1. The head trains.
    """

    name = "ia3"
    title = "(IA)3"
    paper = "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning, https://arxiv.org/abs/2205.05638"

    version: ClassVar[int] = 2  # 1: weight decay pulled the vectors towards 0

    learning_rate: float = Field(3e-3, gt=0, le=1, description="Liu et al. 2022, 3.3: 3e-3 (with Adafactor)")

    def roles(self) -> tuple[str, ...]:
        """Those that it rescales."""
        return ("key", "value", "mlp_out")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import IA3Config

        names = _peft.modules_of(model, family, self.roles(), "ia3")
        config = IA3Config(
            target_modules=names,
            feedforward_modules=_peft.modules_of(model, family, ("mlp_out",), "ia3"),
            fan_in_fan_out=_peft.is_transposed(model, names),
            modules_to_save=family.head_names(model) or None,
        )
        return _peft.wrapped(model, config)
