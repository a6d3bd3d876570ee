"""Linear probing: only the classifier head trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import nn


class ClassifierHead(Trained):
    """The backbone, its pooler included, stays as pretrained; the head trains.

    On BERT-base with six labels this is 768 x 6 + 6 = 4,614 parameters.
    """

    name = "classifier_head"
    title = "Classifier head only"
    paper = "Peters et al. 2019, To Tune or Not to Tune?, https://aclanthology.org/W19-4302 (feature extraction)"

    learning_rate: float = Field(
        5e-3, gt=0, le=1, description="a linear model on fixed features bears a large rate; our sweep"
    )

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The head trains."""
        freeze(model)
        train(family.head(model))
        return model
