"""T5 (Raffel et al. 2020) and what shares its shape: T5 1.1, Flan-T5, mT5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._encoder_decoder import EncoderDecoderFamily
from tunebench.families.base import Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

_T5 = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_kv": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
_FEED_FORWARD = ("layer.1.DenseReluDense", "layer.2.DenseReluDense")  # in an encoder's layer, in a decoder's


class T5(EncoderDecoderFamily):
    """An encoder and a decoder over shared embeddings, with learned relative position biases and no new head.

    Stages are the embeddings, the encoder's layers (its norm belongs to the last), the decoder's layers, and the
    decoder's norm with the language-modelling head if it has its own weights. A cut is within or above the encoder.
    """

    name = "t5"
    title = "T5"
    model_types = ("t5", "mt5")
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "t5-small": {**_T5, "d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
        "t5-base": {**_T5, "d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    }

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """Training keeps no cache of keys and values."""
        import torch

        if not torch.cuda.is_available():
            # With the biases of relative positions torch's fused attention falls back to a slow float32 form on a CPU:
            # a step of full fine-tuning takes 1.7 times as long, one of LoRA 1.2.
            model.set_attn_implementation("eager")
        return super().prepared(model, objective)

    def stacks(self, model: nn.Module) -> list[Sequence[nn.Module]]:
        """The encoder's layers and the decoder's."""
        return [list(stack.block) for stack in self.halves(model)]

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and the last norm."""
        base: Any = base_of(model)
        encoder, decoder = self.stacks(model)
        last = len(encoder) - 1
        stages = [Stage("embeddings", (base.shared,))]
        for index, layer in enumerate(encoder):
            norm = (base.encoder.final_layer_norm,) if index == last else ()
            stages.append(Stage(f"encoder layer {index}", (layer, *norm)))
        stages += [Stage(f"decoder layer {index}", (layer,)) for index, layer in enumerate(decoder)]
        tied = base.lm_head.weight is base.shared.weight
        return [*stages, Stage("norm", (base.decoder.final_layer_norm, *([] if tied else [base.lm_head])))]

    def entrances(self, model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
        """Encoder and decoder: a generation calls them one by one."""
        encoder, decoder = self.halves(model)
        reading = [block.layer[0].SelfAttention for block in encoder.block]
        writing = [a for block in decoder.block for a in (block.layer[0].SelfAttention, block.layer[1].EncDecAttention)]
        return [(encoder, reading), (decoder, writing)]

    def embedder(self, model: nn.Module) -> nn.Module:
        """The encoder's token embeddings."""
        return self.halves(model)[0].embed_tokens

    def key_value_shape(self, model: nn.Module) -> tuple[int, int]:
        """The configuration names the width: heads need not fill the hidden states."""
        config: Any = base_of(model).config
        return config.num_heads, config.d_kv

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer of the encoder, or the whole of it (see `Family.split`)."""
        from torch.nn import Identity, ModuleList, Sequential

        from tunebench.families.cut import stand_ins

        base: Any = base_of(model)
        encoder = base.encoder
        layers = list(encoder.block)
        cut = depth - 1
        lower: Any = stand_ins.shallow(encoder, dropout=Identity())  # which the upper part puts into training mode
        upper: nn.Module = stand_ins.ComputedBackbone()
        if cut < len(layers):
            lower = stand_ins.shallow(lower, block=ModuleList(layers[:cut]), final_layer_norm=Identity())
            # All layers share the biases of relative positions, which the lowest one holds. Of the two places of
            # dropout the lower one belongs to the frozen embeddings.
            upper = stand_ins.shallow(
                encoder,
                block=ModuleList([_with_bias_of(layers[0], layers[cut]), *layers[cut + 1 :]]),
                final_layer_norm=Sequential(encoder.final_layer_norm, encoder.dropout),
                dropout=Identity(),
            )

        def trunk(**inputs: Tensor) -> Tensor:
            return lower(**inputs).last_hidden_state

        return Split(trunk, stand_ins.shallow(base, encoder=upper), one_vector=False)

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """Of self-attention, cross-attention and the feed-forward network, which is gated in T5 1.1 and mT5."""
        attentions = ("layer.0.SelfAttention", "layer.1.EncDecAttention")
        names = {"query": "q", "key": "k", "value": "v", "output": "o"}
        return {
            **{role: tuple(f"{attention}.{name}" for attention in attentions) for role, name in names.items()},
            "mlp_in": tuple(f"{place}.{name}" for place in _FEED_FORWARD for name in ("wi", "wi_0", "wi_1")),
            "mlp_out": tuple(f"{place}.wo" for place in _FEED_FORWARD),
        }

    def end_of_feed_forward(self, layer: Any) -> nn.Module:
        """The sub-layer, which normalises first and adds last."""
        return layer.layer[-1]


def _with_bias_of(first: Any, layer: Any) -> nn.Module:
    """The layer with the first one's biases of relative positions; weights are shared, both stay as they are."""
    from torch.nn import ModuleList

    from tunebench.families.cut import stand_ins

    theirs, own = first.layer[0].SelfAttention, layer.layer[0].SelfAttention
    if theirs is own:
        return layer
    attention: Any = stand_ins.shallow(own, relative_attention_bias=theirs.relative_attention_bias)
    attention.has_relative_attention_bias = True
    sublayer = stand_ins.shallow(layer.layer[0], SelfAttention=attention)
    return stand_ins.shallow(layer, layer=ModuleList([sublayer, *layer.layer[1:]]))
