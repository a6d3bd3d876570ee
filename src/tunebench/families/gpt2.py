"""GPT-2 (Radford et al. 2019) and decoders that read from left to right: Llama, Mistral, Qwen, Pythia (GPT-NeoX)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families.base import Family, Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_GPT2 = {"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}


@dataclass(frozen=True)
class _Names:
    """What a backbone calls its parts; projections by role, within a layer."""

    tokens: str
    layers: str
    norm: str
    projections: Mapping[str, str]
    positions: str | None = None
    dropout: str | None = None


_NAMES = {
    "gpt2": _Names(
        "wte", "h", "ln_f",
        {"query": "attn.c_attn", "key": "attn.c_attn", "value": "attn.c_attn", "output": "attn.c_proj",
         "mlp_in": "mlp.c_fc", "mlp_out": "mlp.c_proj"},
        positions="wpe", dropout="drop",
    ),
    "gpt_neox": _Names(
        "embed_in", "layers", "final_layer_norm",
        {"query": "attention.query_key_value", "key": "attention.query_key_value",
         "value": "attention.query_key_value", "output": "attention.dense",
         "mlp_in": "mlp.dense_h_to_4h", "mlp_out": "mlp.dense_4h_to_h"},
        dropout="emb_dropout",
    ),
}  # fmt: skip
_LLAMA = _Names(
    "embed_tokens", "layers", "norm",
    {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
     "output": "self_attn.o_proj", "mlp_in": "mlp.up_proj", "mlp_out": "mlp.down_proj"},
)  # fmt: skip


class Gpt2(Family):
    """Embeddings, N layers that look to the left only, and a final norm. A classifier reads the last real token."""

    name = "gpt2"
    title = "GPT-2"
    model_types = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
    auto_classes: ClassVar[Mapping[str, str]] = {
        "sequence_classification": "AutoModelForSequenceClassification",
        "regression": "AutoModelForSequenceClassification",
        "token_classification": "AutoModelForTokenClassification",
        "causal_lm": "AutoModelForCausalLM",
    }
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"gpt2": _GPT2, "distilgpt2": {**_GPT2, "n_layer": 6}}
    # Byte-level tokenizers need it for words; others ignore it.
    tokenizer_habits: ClassVar[Mapping[str, Any]] = {"add_prefix_space": True}
    reads_left_to_right = True

    def positions(self, values: Mapping[str, Any]) -> int:
        """Position embeddings, or what the rotary ones were trained for."""
        return self.config(values).max_position_embeddings

    def tokenizer(self, folder: Path) -> PreTrainedTokenizerBase:
        """The folder's tokenizer; where it has no padding token, end-of-text fills batches.

        Nothing is ever told from padding by that token: masks and labels come from the texts' lengths.
        """
        tokenizer = super().tokenizer(folder)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        return tokenizer

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """A classifier of texts pools the last real token by the attention mask.

        transformers finds that token by comparing with the padding token, which is end-of-text here, and not at all
        where a cut model gets states.
        """
        config: Any = model.config
        config.use_cache = False
        if config.pad_token_id is None:
            ends = config.eos_token_id
            config.pad_token_id = ends[0] if isinstance(ends, list) else ends
        if self.auto_classes[objective] == "AutoModelForSequenceClassification":
            model.base_model.register_forward_hook(_last_real_token, with_kwargs=True)
        return model

    def _names(self, model: nn.Module) -> _Names:
        config: Any = base_of(model).config
        return _NAMES.get(config.model_type, _LLAMA)

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The decoder's layers."""
        return list(getattr(base_of(model).base_model, self._names(model).layers))

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and the final norm with the language-modelling head where that has own weights."""
        base, names = base_of(model), self._names(model)
        bottom = [getattr(base.base_model, name) for name in (names.tokens, names.positions) if name]
        top = [getattr(base.base_model, names.norm)]
        lm_head: Any = base.get_output_embeddings()
        if lm_head is not None and lm_head.weight is not bottom[0].weight:
            top.append(lm_head)
        layers = [Stage(f"layer {index}", (layer,)) for index, layer in enumerate(self.layers(model))]
        return [Stage("embeddings", tuple(bottom)), *layers, Stage("norm", tuple(top))]

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention."""
        name = self._names(model).projections["query"].partition(".")[0]
        return [getattr(layer, name) for layer in self.layers(model)]

    def embedder(self, model: nn.Module) -> nn.Module:
        """The token embeddings."""
        return base_of(model).get_input_embeddings()

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """Their rows."""
        return self.embedder(model)(ids)

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer, or the final norm (see `Family.split`)."""
        from torch.nn import Identity, ModuleList

        from tunebench.families.cut import stand_ins

        base, names = base_of(model), self._names(model)
        backbone: Any = base.base_model
        layers: list[Any] = list(self.layers(model))
        cut = depth - 1
        whole = cut > len(layers)
        one_vector = pooled and whole
        last_only = one_vector and names is _NAMES["gpt2"]  # others turn keys by their position
        below = layers[:-1] if last_only else layers[:cut]
        lower: Any = backbone
        if last_only or not whole:
            lower = stand_ins.shallow(backbone, **{names.layers: ModuleList(below), names.norm: Identity()})
            stand_ins.without_output_hooks(lower)  # the pooled token is chosen above the cut

        def trunk(attention_mask: Tensor, **inputs: Tensor) -> Tensor:
            states = lower(attention_mask=attention_mask, **inputs).last_hidden_state
            if last_only:
                return backbone.ln_f(_last_token(layers[-1], states, attention_mask))
            return states[:, :1] if one_vector else states

        upper: nn.Module = stand_ins.ComputedBackbone()
        if not whole:
            theirs: dict[str, Any] = {names.layers: ModuleList(layers[cut:]), names.tokens: stand_ins.PassedStates()}
            if names.positions:
                theirs[names.positions] = stand_ins.NoPositions()
            if names.dropout:
                theirs[names.dropout] = Identity()  # it belongs to the frozen embeddings
            upper = stand_ins.shallow(backbone, **theirs)
        return Split(trunk, stand_ins.shallow(base, **{base.base_model_prefix: upper}), one_vector)

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """GPT-2 and GPT-NeoX compute query, key and value in one module."""
        return {role: (path,) for role, path in self._names(model).projections.items()}


def _last_token(layer: Any, states: Tensor, mask: Tensor) -> Tensor:
    """A GPT-2 layer's output at the last real token, (batch, 1, hidden)."""
    from tunebench.families.cut import one_token

    _, keys, values = layer.attn.c_attn(layer.ln_1(states)).chunk(3, dim=-1)
    return one_token.one_token(layer, _last_real(states, mask), keys, values, mask, layer.attn.head_dim)


def _last_real_token(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
    """Put the last real token's state at every position, so that whichever one the classifier reads is that token's.

    Virtual tokens may stand before the text in the mask, in the states, or in both.
    """
    states, mask = output.last_hidden_state, kwargs.get("attention_mask")
    last = states[:, -1:] if mask is None else _last_real(states, mask[:, -states.shape[1] :])
    output.last_hidden_state = last.expand_as(states)
    return output


def _last_real(states: Tensor, mask: Tensor) -> Tensor:
    """The last real token's state, (batch, 1, hidden)."""
    import torch

    last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
    return states[torch.arange(len(states), device=states.device), last][:, None]
