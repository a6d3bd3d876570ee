"""GPT-NeoX (Black et al. 2022), the shape of Pythia (Biderman et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tunebench.families._decoder import DecoderFamily, Names


class GptNeoX(DecoderFamily):
    """Embeddings, N layers that see earlier tokens only, with rotary positions, and a final norm.

    A classifier reads the last real token. One module computes query, key and value; layers rotate their own keys, so
    the top layer cannot be computed for one token only.
    """

    name = "gpt_neox"
    title = "GPT-NeoX"
    model_types = ("gpt_neox",)
    names = Names(tokens="embed_in", layers="layers", norm="final_layer_norm", dropout="emb_dropout")
    roles: ClassVar[Mapping[str, str]] = {
        "query": "attention.query_key_value",
        "key": "attention.query_key_value",
        "value": "attention.query_key_value",
        "output": "attention.dense",
        "mlp_in": "mlp.dense_h_to_4h",
        "mlp_out": "mlp.dense_4h_to_h",
    }
