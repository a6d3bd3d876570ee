"""BERT (Devlin et al. 2019) and the encoders of its shape: RoBERTa, XLM-R, CamemBERT, ELECTRA, MiniLM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families import _poolers
from tunebench.families._encoder import EncoderFamily

if TYPE_CHECKING:
    from torch import Tensor, nn

_BERT_BASE = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")


class Bert(EncoderFamily):
    """Embeddings, N layers and, in all but ELECTRA, a pooler that reads the first token."""

    name = "bert"
    title = "BERT"
    model_types = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "bert-base-uncased": {**_BERT_BASE, "vocab_size": 30522},
        "bert-base-cased": {**_BERT_BASE, "vocab_size": 28996},
        "bert-large-uncased": {
            **_BERT_BASE,
            "vocab_size": 30522,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        "roberta-base": {
            **_BERT_BASE,
            "model_type": "roberta",
            "vocab_size": 50265,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
        "sentence-transformers/all-MiniLM-L6-v2": {
            **_BERT_BASE,
            "vocab_size": 30522,
            "hidden_size": 384,
            "num_hidden_layers": 6,
            "intermediate_size": 1536,
        },
    }
    stack = "encoder"
    roles: ClassVar[Mapping[str, str]] = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "output": "attention.output.dense",
        "mlp_in": "intermediate.dense",
        "mlp_out": "output.dense",
    }
    first_token_alone = True

    def embeddings(self, backbone: Any) -> Mapping[str, nn.Module]:
        """With ELECTRA's projection where its embeddings are narrower than its layers."""
        projection = getattr(backbone, "embeddings_project", None)
        projected = {} if projection is None else {"embeddings_project": projection}
        return {**super().embeddings(backbone), **projected}

    def pooler(self, backbone: Any) -> nn.Module | None:
        """ELECTRA has none, and neither has a model that tags tokens or marks spans."""
        return getattr(backbone, "pooler", None)

    def positions(self, values: Mapping[str, Any]) -> int:
        """Position embeddings; RoBERTa and its kin number positions from the padding index + 1."""
        config = self.config(values)
        offset = config.pad_token_id + 1 if config.model_type in _POSITIONS_AFTER_PADDING else 0
        return config.max_position_embeddings - offset

    def fresh(self, folder: Path) -> tuple[str, ...]:
        """The pooler, where the checkpoint has none or one that was never trained."""
        return _poolers.fresh(folder)

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention."""
        layers: Any = self.layers(model)
        return [layer.attention.self for layer in layers]

    def end_of_feed_forward(self, layer: Any) -> nn.Module:
        """The layer's last norm."""
        return layer.output.LayerNorm

    def first_token(self, layer: Any, states: Tensor, mask: Tensor) -> Tensor:
        """All tokens' keys and values, and the first one's query."""
        from tunebench.families.cut.one_token import one_token

        attention = layer.attention.self
        keys, values, width = attention.key(states), attention.value(states), attention.attention_head_size
        return one_token(layer, states[:, :1], keys, values, mask, width)
