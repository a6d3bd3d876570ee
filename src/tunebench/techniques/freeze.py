"""Layer freezing: embeddings and lower layers stay as pretrained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench._util.ranges import Worth
from tunebench._util.words import plural
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, freeze, train

if TYPE_CHECKING:
    from torch import nn


class Freeze(Trained):
    """Embeddings and the lower N layers stay frozen; the layers above, pooler and head train (Lee et al. 2019).

    In an encoder-decoder the shared embeddings and the encoder stay frozen, or the lower N layers of each stack.
    """

    name = "freeze"
    title = "Layer freezing"
    paper = "Lee, Tang and Lin 2019, What Would Elsa Do?, https://arxiv.org/abs/1911.03090"

    frozen_layers: Annotated[
        int | None, Worth("Lee et al. 2019: with the top quarter 90 % of the quality", shares=(0.25, 0.5, 0.75))
    ] = Field(None, ge=0, description="lower layers that stay frozen; default: half of them, or the whole encoder")
    frozen_decoder_layers: int | None = Field(
        None, ge=0, description="lower layers of an encoder-decoder's decoder that stay frozen as well"
    )
    learning_rate: float = Field(5e-5, gt=0, le=1, description="as full fine-tuning: Devlin et al. 2019, A.3")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The stages above the frozen ones, and the head, train."""
        lower, *others = family.stacks(model)
        counts = [(self.frozen_layers, "frozen_layers", lower, len(lower) if others else len(lower) // 2)]
        if others:
            counts.append((self.frozen_decoder_layers, "frozen_decoder_layers", others[0], 0))
        elif self.frozen_decoder_layers is not None:
            raise UserError("freeze.frozen_decoder_layers: this model is not an encoder-decoder. Give frozen_layers.")
        frozen = {id(module) for module in family.stages(model)[0].modules}
        for given, field, layers, default in counts:
            count = default if given is None else given
            if count > len(layers):
                raise UserError(
                    f"freeze.{field}: {count} is more than the {plural(len(layers), 'layer')} of this model. "
                    f"Give at most {len(layers)}."
                )
            frozen |= {id(layer) for layer in layers[:count]}
        freeze(model)
        for stage in family.stages(model):
            if id(stage.modules[0]) not in frozen:
                train(stage.modules)
        train(family.head(model))
        return model
