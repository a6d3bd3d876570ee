"""GPT-2 (Radford et al. 2019) and DistilGPT-2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families._decoder import DecoderFamily, Names, last_real

if TYPE_CHECKING:
    from torch import Tensor

_GPT2 = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}


class Gpt2(DecoderFamily):
    """Embeddings of tokens and positions, N layers that see earlier tokens only, and a final norm.

    A classifier reads the last real token. One module computes query, key and value.
    """

    name = "gpt2"
    title = "GPT-2"
    model_types = ("gpt2",)
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"gpt2": _GPT2, "distilgpt2": {**_GPT2, "n_layer": 6}}
    names = Names(tokens="wte", layers="h", norm="ln_f", positions="wpe", dropout="drop")
    roles: ClassVar[Mapping[str, str]] = {
        "query": "attn.c_attn",
        "key": "attn.c_attn",
        "value": "attn.c_attn",
        "output": "attn.c_proj",
        "mlp_in": "mlp.c_fc",
        "mlp_out": "mlp.c_proj",
    }
    last_token_alone = True

    def last_token(self, layer: Any, states: Tensor, mask: Tensor) -> Tensor:
        """All tokens' keys and values, and the last real one's query."""
        from tunebench.families.cut.one_token import one_token

        _, keys, values = layer.attn.c_attn(layer.ln_1(states)).chunk(3, dim=-1)
        return one_token(layer, last_real(states, mask), keys, values, mask, layer.attn.head_dim)
