"""Prefix tuning: trained keys and values in every layer, made by a small network that is folded after training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tunebench.families.base import Family, base_of
from tunebench.techniques import _prefix

if TYPE_CHECKING:
    from torch import nn


class PrefixTuning(_prefix.LayerPrefix):
    """An MLP turns one embedding per virtual token into keys and values of all layers; the backbone is frozen.

    Li and Liang 2021, sections 4.2 and 4.3. The MLP is used in training only; tokens x layers x 2 x hidden parameters
    and the head are kept.
    """

    name = "prefix_tuning"
    title = "Prefix tuning"
    paper = "Li and Liang 2021, Prefix-Tuning, https://aclanthology.org/2021.acl-long.353"

    prefix_length: int = Field(20, ge=1, description="virtual tokens; Li and Liang 2021, 6: 10 for table-to-text")
    bottleneck: int = Field(512, ge=1, description="hidden units of the MLP; Li and Liang 2021, 4.3: 512")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="the published GPT-2 cell")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The same model, its attention reading the prefix."""
        from tunebench.techniques import _virtual_tokens

        return _virtual_tokens.attach(model, family, self.prefix_length, self.bottleneck, self.initial, self.reach)

    def fold(self, model: nn.Module) -> bool:
        """Keep the keys and values, drop the MLP."""
        backbone: Any = base_of(model).base_model
        backbone.prefix.fold()
        return True
