"""LoRA: trainable low-rank updates of frozen weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques import _peft
from tunebench.techniques.base import LowRankUpdate

if TYPE_CHECKING:
    from torch import nn


class Lora(_peft.LowRank, _peft.Ranked):
    """W + (alpha / rank) B A with A (rank, in), B (out, rank), B zero at the start; W frozen, the head trains.

    Hu et al. 2021, section 4.1; PEFT's implementation. Parameters per target: rank x (in + out).
    """

    name = "lora"
    title = "LoRA"
    paper = "Hu et al. 2021, LoRA, https://arxiv.org/abs/2106.09685"

    learning_rate: float = Field(5e-4, gt=0, le=1, description="Hu et al. 2021, table 9, RoBERTa-base: 4e-4 to 5e-4")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import LoraConfig

        return _peft.wrapped(model, LoraConfig(r=self.rank, **self.shared(model, family)))

    def updates(self, model: Any) -> dict[str, LowRankUpdate]:
        """A and B of every target."""
        from peft.tuners.lora import LoraLayer

        modules = model.get_base_model().named_modules()
        layers: dict[str, Any] = {name: module for name, module in modules if isinstance(module, LoraLayer)}
        found = {}
        for name, layer in layers.items():
            (adapter,) = layer.lora_A
            down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
            found[name] = LowRankUpdate(layer.get_base_layer().weight, down, up, layer.scaling[adapter])
        return found
