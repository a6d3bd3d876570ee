"""Llama (Touvron et al. 2023) and the decoders of its shape: Mistral, Qwen2, Qwen3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._decoder import DecoderFamily, Names
from tunebench.families.base import base_of

if TYPE_CHECKING:
    from torch import nn


class Llama(DecoderFamily):
    """Embeddings, N layers that see earlier tokens only, with rotary positions, and a final norm.

    A classifier reads the last real token. Layers rotate their own keys, so the top layer cannot be computed for one
    token only.
    """

    name = "llama"
    title = "Llama"
    model_types = ("llama", "mistral", "qwen2", "qwen3")
    names = Names(tokens="embed_tokens", layers="layers", norm="norm")
    roles: ClassVar[Mapping[str, str]] = {
        "query": "self_attn.q_proj",
        "key": "self_attn.k_proj",
        "value": "self_attn.v_proj",
        "output": "self_attn.o_proj",
        "mlp_in": "mlp.up_proj",
        "mlp_out": "mlp.down_proj",
    }

    def key_value_shape(self, model: nn.Module) -> tuple[int, int]:
        """Several heads of queries may share one of keys and values; some configurations name the width."""
        config: Any = base_of(model).config
        heads, width = super().key_value_shape(model)
        return config.num_key_value_heads or heads, getattr(config, "head_dim", None) or width
