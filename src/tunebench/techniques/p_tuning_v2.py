"""P-tuning v2: trained keys and values in every layer, without re-parameterisation, and a trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques import _prefix

if TYPE_CHECKING:
    from torch import nn


class PTuningV2(_prefix.LayerPrefix):
    """Virtual tokens of every layer's attention are parameters themselves; the backbone is frozen, the head trains.

    Liu et al. 2021, sections 3.2 and 3.3. Parameters: tokens x layers x 2 x hidden, and the head.
    """

    name = "p_tuning_v2"
    title = "P-tuning v2"
    paper = "Liu et al. 2021, P-Tuning v2, https://arxiv.org/abs/2110.07602"

    prefix_length: int = Field(
        20, ge=1, description="virtual tokens; Liu et al. 2021, 3.3: under 20 for classification, about 100 for tagging"
    )
    learning_rate: float = Field(5e-3, gt=0, le=1, description="the authors' released scripts: 5e-3 to 1e-2")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The same model, its attention reading the prefix."""
        from tunebench.techniques import _virtual_tokens

        return _virtual_tokens.attach(model, family, self.prefix_length, None, self.initial, self.reach)
