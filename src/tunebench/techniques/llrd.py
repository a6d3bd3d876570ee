"""Layer-wise learning-rate decay: lower layers learn more slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tunebench._util.ranges import Worth
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, decay_groups, train

if TYPE_CHECKING:
    from torch import nn


class Llrd(Trained):
    """All weights train; each layer at `decay` times the learning rate of the layer above, the head at the full rate.

    Howard and Ruder 2018 (discriminative fine-tuning, section 3.2) with the schedule of Sun et al. 2019, section 5.3.3.
    """

    name = "llrd"
    title = "Layer-wise learning-rate decay"
    paper = "Sun et al. 2019, How to Fine-Tune BERT for Text Classification?, https://arxiv.org/abs/1905.05583"

    decay: Annotated[float, Worth("Sun et al. 2019, table 5", choices=(0.8, 0.85, 0.9, 0.95, 1.0))] = Field(
        0.95, gt=0, le=1, description="factor from one layer to the next lower; Sun et al. 2019, table 5"
    )
    learning_rate: float = Field(5e-5, gt=0, le=1, description="of head, pooler and top layer; as full fine-tuning")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """Everything trains."""
        train([model])
        return model

    def parameter_groups(self, model: nn.Module, family: Family, weight_decay: float) -> list[dict[str, Any]]:
        """Head, pooler and top layer at the full rate, then `decay` once more a stage down to the embeddings."""
        stages = family.stages(model)
        top = len(family.layers(model))  # the index of the top layer: stage 0 is the embeddings
        groups = decay_groups([p for m in family.head(model) for p in m.parameters()], self.learning_rate, weight_decay)
        for index, stage in enumerate(stages):
            rate = self.learning_rate * self.decay ** max(top - index, 0)
            groups += decay_groups([p for m in stage.modules for p in m.parameters()], rate, weight_decay)
        return groups
