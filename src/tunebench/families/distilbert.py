"""DistilBERT (Sanh et al. 2019): half of BERT's layers, no pooler, and names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._encoder import EncoderFamily

if TYPE_CHECKING:
    from torch import nn


class DistilBert(EncoderFamily):
    """Embeddings and N layers. The head's own first layer pools the first token.

    The layers take no keys and values from outside, so the top layer cannot be computed for one token only.
    """

    name = "distilbert"
    title = "DistilBERT"
    model_types = ("distilbert",)
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "distilbert-base-uncased": {"model_type": "distilbert", "vocab_size": 30522}
    }
    stack = "transformer"
    roles: ClassVar[Mapping[str, str]] = {
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "output": "attention.out_lin",
        "mlp_in": "ffn.lin1",
        "mlp_out": "ffn.lin2",
    }

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention."""
        layers: Any = self.layers(model)
        return [layer.attention for layer in layers]

    def end_of_feed_forward(self, layer: Any) -> nn.Module:
        """The layer's last norm."""
        return layer.output_layer_norm
