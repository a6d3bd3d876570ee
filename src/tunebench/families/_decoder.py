"""What decoder families share: a token sees those before it only, and the last real token stands for a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families.base import Family, Pooling, Split, Stage, base_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Names:
    """A backbone's attributes.

    Attributes:
        tokens: the token embeddings.
        layers: the layers.
        norm: the final norm.
        positions: the position embeddings, if any.
        dropout: of the embedded text, if any.
    """

    tokens: str
    layers: str
    norm: str
    positions: str | None = None
    dropout: str | None = None


class DecoderFamily(Family):
    """Embeddings, N layers that see earlier tokens only, and a final norm. A classifier reads the last real token."""

    architecture = "decoder"
    auto_classes: Mapping[str, str] = {
        "sequence_classification": "AutoModelForSequenceClassification",
        "multi_label_classification": "AutoModelForSequenceClassification",
        "regression": "AutoModelForSequenceClassification",
        "token_classification": "AutoModelForTokenClassification",
        "causal_lm": "AutoModelForCausalLM",
    }
    language_head = "AutoModelForCausalLM"
    # Byte-level tokenizers need it for words; others ignore it.
    tokenizer_habits: ClassVar[Mapping[str, Any]] = {"add_prefix_space": True}
    reads_left_to_right = True

    names: ClassVar[Names]
    roles: ClassVar[Mapping[str, str]]
    """Role -> path of its linear module within a layer."""
    last_token_alone: ClassVar[bool] = False
    """Whether `last_token` computes a layer for the last real token only."""

    def last_token(self, layer: Any, states: Tensor, mask: Tensor) -> Tensor:
        """A layer's output at the last real token, (batch, 1, hidden), from its input and the mask of real tokens."""
        raise NotImplementedError(f"{self.name}: set `last_token_alone` only with a method that computes it")

    def positions(self, values: Mapping[str, Any]) -> int:
        """Position embeddings, or the length that rotary ones were trained for."""
        return self.config(values).max_position_embeddings

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """A classifier of texts pools the last real token by the attention mask.

        transformers looks for the padding token to find that token. It is end-of-text here, and a cut model, which
        receives states, has no token ids at all.
        """
        config: Any = model.config
        config.use_cache = False
        if config.pad_token_id is None:
            ends = config.eos_token_id
            config.pad_token_id = next(iter(ends), None) if isinstance(ends, list) else ends
        if self.auto_classes[objective] == "AutoModelForSequenceClassification":
            pool_last(model)
        return model

    def poolings(self, objective: str, values: Mapping[str, Any]) -> tuple[Pooling, ...]:
        """A classifier of texts reads the last token, the only one that has seen the whole text."""
        return ("last",) if self.auto_classes[objective] == "AutoModelForSequenceClassification" else ()

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The decoder's layers."""
        return list(getattr(base_of(model).base_model, self.names.layers))

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and the final norm with the language-modelling head where that has own weights."""
        base, names = base_of(model), self.names
        bottom = [getattr(base.base_model, name) for name in (names.tokens, names.positions) if name]
        top = [getattr(base.base_model, names.norm)]
        lm_head: Any = base.get_output_embeddings()
        if lm_head is not None and lm_head.weight is not bottom[0].weight:
            top.append(lm_head)
        layers = [Stage(f"layer {index}", (layer,)) for index, layer in enumerate(self.layers(model))]
        return [Stage("embeddings", tuple(bottom)), *layers, Stage("norm", tuple(top))]

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """Each layer's self-attention, which holds the query."""
        name = self.roles["query"].partition(".")[0]
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

        base = base_of(model)
        backbone: Any = base.base_model
        layers, norm = list(self.layers(model)), getattr(backbone, self.names.norm)
        frozen = depth - 1  # layers, and one more where the final norm is frozen
        whole = frozen > len(layers)
        one_vector = pooled and whole
        last_only = one_vector and self.last_token_alone
        lower: Any = backbone
        if last_only or not whole:
            below = ModuleList(layers[:-1] if last_only else layers[:frozen])
            lower = stand_ins.shallow(backbone, **{self.names.layers: below, self.names.norm: Identity()})
            stand_ins.without_output_hooks(lower)  # the pooled token is chosen above the cut

        def trunk(attention_mask: Tensor, **inputs: Tensor) -> Tensor:
            states = lower(attention_mask=attention_mask, **inputs).last_hidden_state
            if last_only:
                return norm(self.last_token(layers[-1], states, attention_mask))
            return states[:, :1] if one_vector else states

        upper: nn.Module = stand_ins.ComputedBackbone()
        if not whole:
            upper = self._on_states(stand_ins.shallow(backbone, **{self.names.layers: ModuleList(layers[frozen:])}))
        return Split(trunk, stand_ins.shallow(base, **{base.base_model_prefix: upper}), one_vector)

    def _on_states(self, backbone: Any) -> Any:
        """The backbone with nothing below its lowest layer: it takes states as `inputs_embeds`."""
        from torch.nn import Identity

        from tunebench.families.cut import stand_ins

        replaced: dict[str, nn.Module] = {self.names.tokens: stand_ins.PassedStates()}
        if self.names.positions:
            replaced[self.names.positions] = stand_ins.NoPositions()
        if self.names.dropout:
            replaced[self.names.dropout] = Identity()  # it belongs to the frozen embeddings
        return stand_ins.shallow(backbone, **replaced)

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """One module for each role; some compute query, key and value in the same one."""
        return {role: (path,) for role, path in self.roles.items()}


def pool_last(model: Any) -> None:
    """Let a head read the last real token, whichever position it looks at."""
    model.base_model.register_forward_hook(_last_real_token, with_kwargs=True)


def last_real(states: Tensor, mask: Tensor) -> Tensor:
    """The last real token's state, (batch, 1, hidden), by the mask of real tokens."""
    import torch

    last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(1)
    return states[torch.arange(len(states), device=states.device), last][:, None]


def _last_real_token(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
    """Put the last real token's state at every position: whichever one the classifier reads is then that token's.

    Virtual tokens may stand before the text in the mask, in the states, or in both.
    """
    states, mask = output.last_hidden_state, kwargs.get("attention_mask")
    last = states[:, -1:] if mask is None else last_real(states, mask[:, -states.shape[1] :])
    output.last_hidden_state = last.expand_as(states)
    return output
