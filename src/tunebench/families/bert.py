"""BERT (Devlin et al. 2019) and the encoders of its shape: RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT, MiniLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench._util.errors import UserError
from tunebench.families.base import Family, Split, Stage, base_of, fresh_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

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


class Bert(Family):
    """Embeddings, N layers and, in some, a pooler that reads the first token."""

    name = "bert"
    title = "BERT"
    model_types = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert")
    auto_classes: ClassVar[Mapping[str, str]] = {
        "sequence_classification": "AutoModelForSequenceClassification",
        "regression": "AutoModelForSequenceClassification",
        "token_classification": "AutoModelForTokenClassification",
        "question_answering": "AutoModelForQuestionAnswering",
    }
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "bert-base-uncased": {**_BERT_BASE, "vocab_size": 30522},
        "bert-base-cased": {**_BERT_BASE, "vocab_size": 28996},
        "bert-large-uncased": {
            **_BERT_BASE, "vocab_size": 30522, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        "distilbert-base-uncased": {"model_type": "distilbert", "vocab_size": 30522},
        "roberta-base": {
            **_BERT_BASE, "model_type": "roberta", "vocab_size": 50265, "max_position_embeddings": 514,
            "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        },
        "sentence-transformers/all-MiniLM-L6-v2": {
            **_BERT_BASE, "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536,
        },
    }  # fmt: skip
    # Byte-level tokenizers (RoBERTa) need it for words; others ignore it.
    tokenizer_habits: ClassVar[Mapping[str, Any]] = {"add_prefix_space": True}

    def positions(self, values: Mapping[str, Any]) -> int:
        """Position embeddings; RoBERTa and its kin number positions from the padding index + 1."""
        config = self.config(values)
        offset = config.pad_token_id + 1 if config.model_type in _POSITIONS_AFTER_PADDING else 0
        return config.max_position_embeddings - offset

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """A head for spans takes labels and gives logits as the other heads do."""
        if objective == "question_answering":
            model.register_forward_pre_hook(_spans_from_labels, with_kwargs=True)
            model.register_forward_hook(_spans_to_logits)
        return model

    def fresh(self, folder: Path) -> tuple[str, ...]:
        """The pooler, where the checkpoint has none (no next-sentence prediction) or one that was never trained.

        Frozen, a random pooler would starve every technique that leaves it alone. Training never leaves a bias at
        exactly zero, its initial value, so that this tells a pooler that no loss ever reached (sentence-transformers
        pool otherwise and carry such a one along).
        """
        from safetensors import SafetensorError, safe_open

        for path in sorted(folder.glob("*.safetensors")):
            try:
                with safe_open(path, "pt") as file:  # NumPy knows no bf16
                    biases = [name for name in file.keys() if name.endswith("pooler.dense.bias")]  # noqa: SIM118
                    if biases and file.get_tensor(biases[0]).any():
                        return ()
            except (OSError, SafetensorError) as error:
                raise UserError(f"model folder {folder}: {path.name} cannot be read ({error}).") from error
        return ("pooler",)

    def _encoder(self, model: nn.Module) -> tuple[nn.Module, str]:
        backbone: Any = base_of(model).base_model
        name = "encoder" if hasattr(backbone, "encoder") else "transformer"  # DistilBERT's name for it
        return backbone, name

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The encoder's layers."""
        backbone, name = self._encoder(model)
        return list(getattr(backbone, name).layer)

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and the pooler where there is a pretrained one."""
        backbone, _ = self._encoder(model)
        bottom = [getattr(backbone, name) for name in ("embeddings", "embeddings_project") if hasattr(backbone, name)]
        stages = [Stage("embeddings", tuple(bottom))]
        stages += [Stage(f"layer {index}", (layer,)) for index, layer in enumerate(self.layers(model))]
        pooler = getattr(backbone, "pooler", None)
        fresh = "pooler" in fresh_of(model)
        return stages if pooler is None or fresh else [*stages, Stage("pooler", (pooler,))]

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention."""
        layers: Any = self.layers(model)
        return [layer.attention if hasattr(layer, "ffn") else layer.attention.self for layer in layers]

    def embedder(self, model: nn.Module) -> nn.Module:
        """The embeddings, or ELECTRA's projection of them."""
        backbone: Any = base_of(model).base_model
        return getattr(backbone, "embeddings_project", backbone.embeddings)

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """With the embeddings' own positions and norm."""
        backbone: Any = base_of(model).base_model
        states = backbone.embeddings(ids[None])
        return (backbone.embeddings_project(states) if hasattr(backbone, "embeddings_project") else states)[0]

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer, or the pooler (see `Family.split`)."""
        from torch.nn import Identity, ModuleList

        from tunebench.families.cut import stand_ins

        base = base_of(model)
        backbone: Any
        backbone, encoder_name = self._encoder(model)
        encoder = getattr(backbone, encoder_name)
        layers: list[Any] = list(encoder.layer)
        cut = depth - 1
        one_vector = pooled and cut >= len(layers)
        with_pooler = cut > len(layers)
        first_only = one_vector and not hasattr(layers[-1], "ffn")  # DistilBERT's layers take no keys and values
        below = layers[:-1] if first_only else layers[:cut]
        ours: dict[str, Any] = {encoder_name: stand_ins.shallow(encoder, layer=ModuleList(below))}
        if hasattr(backbone, "pooler"):
            ours["pooler"] = None
        lower = stand_ins.shallow(backbone, **ours)

        def trunk(attention_mask: Tensor, **inputs: Tensor) -> Tensor:
            states = lower(attention_mask=attention_mask, **inputs).last_hidden_state
            if first_only:
                states = _first_token(layers[-1], states, attention_mask)
            if with_pooler:
                return backbone.pooler(states)[:, None]
            return states[:, :1] if one_vector else states

        if cut >= len(layers):
            upper: nn.Module = stand_ins.ComputedBackbone(None if with_pooler else getattr(backbone, "pooler", None))
        else:
            theirs: dict[str, Any] = {
                "embeddings": stand_ins.PassedStates(),
                encoder_name: stand_ins.shallow(encoder, layer=ModuleList(layers[cut:])),
            }
            if hasattr(backbone, "embeddings_project"):
                theirs["embeddings_project"] = Identity()
            upper = stand_ins.shallow(backbone, **theirs)
        return Split(trunk, stand_ins.shallow(base, **{base.base_model_prefix: upper}), one_vector)

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """BERT's names, or DistilBERT's."""
        if hasattr(self.layers(model)[0], "ffn"):
            attention = {"query": "q_lin", "key": "k_lin", "value": "v_lin", "output": "out_lin"}
            named = {role: f"attention.{name}" for role, name in attention.items()}
            named |= {"mlp_in": "ffn.lin1", "mlp_out": "ffn.lin2"}
        else:
            named = {role: f"attention.self.{role}" for role in ("query", "key", "value")}
            named |= {"output": "attention.output.dense", "mlp_in": "intermediate.dense", "mlp_out": "output.dense"}
        return {role: (path,) for role, path in named.items()}


def _first_token(layer: Any, states: Tensor, mask: Tensor) -> Tensor:
    """A layer's output at the first token, (batch, 1, hidden)."""
    from tunebench.families.cut import one_token

    attention = layer.attention.self
    keys, values, width = attention.key(states), attention.value(states), attention.attention_head_size
    return one_token.one_token(layer, states[:, :1], keys, values, mask, width)


def _spans_from_labels(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Labels (batch, 2) as the arguments that transformers asks for: first and last token of the answer."""
    labels = kwargs.pop("labels", None)
    if labels is not None:
        kwargs |= {"start_positions": labels[:, 0], "end_positions": labels[:, 1]}
    return args, kwargs


def _spans_to_logits(module: nn.Module, args: tuple, output: Any) -> Any:
    """Both logits of a token side by side, (batch, tokens, 2), where every other head's logits stand."""
    import torch

    output.logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output
