"""Decoders of every other type: what they are made of is found by looking at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunebench.families._by_structure import ByStructure
from tunebench.families._decoder import DecoderFamily
from tunebench.families.base import Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class OtherDecoder(ByStructure, DecoderFamily):
    """Layers that see earlier tokens only, found by looking at the model: its `model_type` need not be listed here.

    Stages are the embeddings, with what all layers use; the layers; and the final norm with the language-modelling head
    where that has own weights. A cut is proven on texts of the task before it is used.
    """

    name = "decoder"
    title = "Other decoders"

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and what lies above them."""
        base: Any = base_of(model)
        stack = self.structure(model).stacks[0]
        below = self._at(model, stack.below)
        top = self._at(model, stack.above)
        lm_head = base.get_output_embeddings()
        if lm_head is not None and lm_head.weight is not base.get_input_embeddings().weight:
            top.append(lm_head)
        stages = [Stage("embeddings", tuple(below)), *self._of_layers(model, stack, "layer")]
        return self._completed(model, [*stages, Stage("norm", tuple(top))] if top else stages)

    def embedder(self, model: nn.Module) -> nn.Module:
        """The token embeddings."""
        return base_of(model).get_input_embeddings()

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """Their rows."""
        return self.embedder(model)(ids)

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The decoder's layers."""
        return self.stacks(model)[0]

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer, or the final norm (see `Family.split`)."""
        from tunebench.families.cut import by_place, stand_ins

        base: Any = base_of(model)
        place = self.structure(model).stacks[0]
        root, stack = base.get_submodule(place.root), place.within()
        steps = [*stack.layers, *([stack.above[0]] if stack.above else [])]
        frozen = depth - 1
        if frozen < len(steps):
            trunk = by_place.trunk_until(root, steps[frozen])
            upper = by_place.tail_from(root, steps[frozen], stack.layers[:frozen], stack.passing, stack.tuples)
            return Split(trunk, by_place.replaced(base, {place.root: upper}), one_vector=False)
        lower = by_place.without_dropout(root, stack.listed)

        def whole(**inputs: Tensor) -> Tensor:
            states = lower(**inputs).last_hidden_state
            return states[:, :1] if pooled else states

        return Split(whole, by_place.replaced(base, {place.root: stand_ins.ComputedBackbone()}), pooled)
