"""Linear probing: only the classifier head trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tunebench._util.ranges import Worth
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import nn


class ClassifierHead(Trained):
    """The backbone, including its pooler, is frozen; only the head trains.

    On BERT-base with six labels this is 768 x 6 + 6 = 4,614 parameters.
    """

    name = "classifier_head"
    title = "Classifier head only"
    paper = "Peters et al. 2019, To Tune or Not to Tune?, https://aclanthology.org/W19-4302 (feature extraction)"

    dropout: Annotated[float, Worth("our sweep", choices=(0.0, 0.2, 0.4))] = Field(
        0.2, ge=0, lt=1, description="fraction of the head's inputs that is dropped; our sweep"
    )
    learning_rate: float = Field(
        1e-2, gt=0, le=1, description="a linear model on fixed features tolerates a large rate; our sweep"
    )

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """A pretrained language-modelling head is no new head."""
        if objective in family.fresh_heads:
            return None
        return f"{objective} has no new head: the pretrained one is tied to the backbone's embeddings"

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The head trains."""
        from torch.nn import functional

        def drop(module: nn.Module, inputs: tuple) -> tuple:
            return functional.dropout(inputs[0], self.dropout, module.training), *inputs[1:]

        freeze(model)
        train(family.head(model))
        family.lowest_of_head(model).register_forward_pre_hook(drop)
        return model
