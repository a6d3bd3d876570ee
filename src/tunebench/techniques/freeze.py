"""Layer freezing: embeddings and lower layers stay as pretrained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.errors import UserError
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import nn


class Freeze(Trained):
    """Embeddings and the lower N layers stay frozen; the layers above, pooler and head train (Lee et al. 2019)."""

    name = "freeze"
    title = "Freeze lower layers"
    paper = "Lee, Tang and Lin 2019, What Would Elsa Do?, https://arxiv.org/abs/1911.03090"

    frozen_layers: int | None = Field(
        None, ge=0, description="how many lower layers stay frozen; default: half of them"
    )
    learning_rate: float = Field(5e-5, gt=0, le=1, description="as full fine-tuning: Devlin et al. 2019, A.3")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The stages above the frozen ones, and the head, train."""
        layers = len(family.layers(model))
        frozen = layers // 2 if self.frozen_layers is None else self.frozen_layers
        if frozen > layers:
            raise UserError(
                f"freeze.frozen_layers: {frozen} is more than the {layers} layers of this model. Give at most {layers}."
            )
        freeze(model)
        train([module for stage in family.stages(model)[1 + frozen :] for module in stage.modules])
        train(family.head(model))
        return model
