"""The Transformer of Vaswani et al. 2017, written to be read: the package `tunebench.zoo.transformer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._encoder_decoder import EncoderDecoderFamily
from tunebench.families.base import Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_BASE = {
    "model_type": "transformer",
    "vocab_size": 37_000,
    "d_model": 512,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
}


class OriginalTransformer(EncoderDecoderFamily):
    """An encoder and a decoder over shared embeddings, with sinusoidal positions and a norm after each sub-layer.

    No pretrained one exists: `pocket-transformer` is shipped as a shape with a tokenizer, which from_scratch trains,
    and what that run exports can be tuned as any checkpoint can. Stages are the embeddings, the encoder's layers and
    the decoder's layers. A cut is within or above the encoder.
    """

    name = "transformer"
    title = "The original Transformer"
    model_types = ("transformer",)
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "transformer-base": _BASE,
        "transformer-big": {**_BASE, "d_model": 1024, "d_ff": 4096, "num_heads": 16, "dropout": 0.3},
    }
    on_the_hub = False

    def config(self, values: Mapping[str, Any]) -> PreTrainedConfig:
        """As `Family.config`; the import makes this model known to transformers, here and below."""
        from tunebench.zoo import transformer  # noqa: F401

        return super().config(values)

    def auto_class(self, objective: str) -> Any:
        """As `Family.auto_class`."""
        from tunebench.zoo import transformer  # noqa: F401

        return super().auto_class(objective)

    def tokenizer(self, folder: Path) -> PreTrainedTokenizerBase:
        """As `Family.tokenizer`."""
        from tunebench.zoo import transformer  # noqa: F401

        return super().tokenizer(folder)

    def stacks(self, model: nn.Module) -> list[Sequence[nn.Module]]:
        """The encoder's layers and the decoder's."""
        return [list(stack.layers) for stack in self.halves(model)]

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, and each layer; the norms are the layers' own."""
        encoder, decoder = self.stacks(model)
        return [
            Stage("embeddings", (self.embedder(model),)),  # the decoder's and the logits' are the same matrix
            *(Stage(f"encoder layer {index}", (layer,)) for index, layer in enumerate(encoder)),
            *(Stage(f"decoder layer {index}", (layer,)) for index, layer in enumerate(decoder)),
        ]

    def entrances(self, model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
        """Encoder and decoder, each with its attentions: a generation calls them one by one."""
        encoder, decoder = self.halves(model)
        reading = [layer.self_attention for layer in encoder.layers]
        writing = [a for layer in decoder.layers for a in (layer.self_attention, layer.cross_attention)]
        return [(encoder, reading), (decoder, writing)]

    def embedder(self, model: nn.Module) -> nn.Module:
        """The encoder's token embeddings; positions are added above them."""
        return self.halves(model)[0].tokens

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer of the encoder, or the whole of it (see `Family.split`)."""
        from torch.nn import Identity, ModuleList

        from tunebench.families.cut import stand_ins

        base: Any = base_of(model)
        layers = list(base.encoder.layers)
        cut = depth - 1
        lower: Any = stand_ins.shallow(base.encoder, layers=ModuleList(layers[:cut]))
        upper: nn.Module = stand_ins.ComputedBackbone()
        if cut < len(layers):
            above = ModuleList(layers[cut:])  # positions and their dropout belong to the embeddings below
            upper = stand_ins.shallow(base.encoder, layers=above, positions=stand_ins.NoPositions(), dropout=Identity())

        def trunk(**inputs: Tensor) -> Tensor:
            return lower(**inputs).last_hidden_state

        return Split(trunk, stand_ins.shallow(base, encoder=upper), one_vector=False)

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """Of self-attention, cross-attention and the feed-forward network."""
        attentions = ("self_attention", "cross_attention")
        return {
            **{role: tuple(f"{a}.{role}" for a in attentions) for role in ("query", "key", "value", "output")},
            "mlp_in": ("feed_forward.inner",),
            "mlp_out": ("feed_forward.outer",),
        }

    def end_of_feed_forward(self, layer: Any) -> nn.Module:
        """The norm of its Add & Norm."""
        return layer.after_feed_forward.norm
