"""Encoder-decoders of every other type: what they are made of is found by looking at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebench.families._by_structure import ByStructure
from tunebench.families._encoder_decoder import EncoderDecoderFamily
from tunebench.families.base import Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


class OtherEncoderDecoder(ByStructure, EncoderDecoderFamily):
    """An encoder and a decoder, found by looking at the model: its `model_type` need not be listed here.

    Stages are the embeddings of both, with what all layers use; the encoder's layers, the highest with a norm above it;
    the decoder's layers; and the decoder's norm with the language-modelling head where that has own weights. A cut is
    within or above the encoder, and proven on texts of the task before it is used.
    """

    name = "encoder_decoder"
    title = "Other encoder-decoders"
    prompt_is_read = True

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """Training keeps no cache; the decoder's first token is that of the configuration, or of generation."""
        config = model.config
        if getattr(config, "decoder_start_token_id", None) is None:
            config.decoder_start_token_id = model.generation_config.decoder_start_token_id
        for part in (model, *self.halves(model)):
            getattr(part, "config", config).use_cache = False
        return model

    def halves(self, model: nn.Module) -> tuple[Any, Any]:
        """Encoder and decoder."""
        base: Any = base_of(model)
        return base.get_encoder(), base.get_decoder()

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and what lies above the decoder's."""
        base: Any = base_of(model)
        encoder, decoder = self.structure(model).stacks
        below = dict.fromkeys(self._at(model, (*encoder.below, *decoder.below)))
        *lower, top = self._of_layers(model, encoder, "encoder layer")
        last = Stage(top.name, (*top.modules, *self._at(model, encoder.above)))
        above = self._at(model, decoder.above)
        lm_head = base.get_output_embeddings()
        if lm_head is not None and lm_head.weight is not base.get_input_embeddings().weight:
            above.append(lm_head)
        written = self._of_layers(model, decoder, "decoder layer")
        stages = [Stage("embeddings", tuple(below)), *lower, last, *written]
        return self._completed(model, [*stages, Stage("norm", tuple(above))] if above else stages)

    def embedder(self, model: nn.Module) -> nn.Module:
        """The encoder's token embeddings."""
        return self.halves(model)[0].get_input_embeddings()

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer of the encoder, or the whole of it (see `Family.split`)."""
        from tunebench.families.cut import by_place, stand_ins

        base: Any = base_of(model)
        place = self.structure(model).stacks[0]
        root, stack = base.get_submodule(place.root), place.within()
        frozen = depth - 1
        if frozen < len(stack.layers):
            trunk = by_place.trunk_until(root, stack.layers[frozen])
            reached = stack.layers[frozen]
            upper = by_place.tail_from(root, reached, stack.layers[:frozen], stack.passing, stack.tuples)
            return Split(trunk, by_place.replaced(base, {place.root: upper}), one_vector=False)
        lower = by_place.without_dropout(root, stack.listed)

        def whole(**inputs: Tensor) -> Tensor:
            return lower(**inputs).last_hidden_state

        return Split(whole, by_place.replaced(base, {place.root: stand_ins.ComputedBackbone()}), one_vector=False)
