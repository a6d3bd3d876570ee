"""What encoder families share: layers that see the whole text, under a new head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebench.families.base import (
    Family,
    Pooling,
    Split,
    Stage,
    base_of,
    fresh_of,
    mean_of,
    pooled_otherwise,
    pooling_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


_OF_TEXTS = "AutoModelForSequenceClassification"


class EncoderFamily(Family):
    """Embeddings, N layers and, in some, a pooler that reads the first token."""

    architecture = "encoder"
    auto_classes: Mapping[str, str] = {
        "sequence_classification": _OF_TEXTS,
        "multi_label_classification": _OF_TEXTS,
        "regression": _OF_TEXTS,
        "token_classification": "AutoModelForTokenClassification",
        "question_answering": "AutoModelForQuestionAnswering",
    }
    language_head = "AutoModelForMaskedLM"
    # Byte-level tokenizers (RoBERTa) need it for words; others ignore it.
    tokenizer_habits: ClassVar[Mapping[str, Any]] = {"add_prefix_space": True}

    stack: ClassVar[str]
    """The backbone's attribute whose `layer` holds the layers."""
    roles: ClassVar[Mapping[str, str]]
    """Role -> path of its linear module within a layer."""
    first_token_alone: ClassVar[bool] = False
    """Whether `first_token` computes a layer for the first token only."""

    def embeddings(self, backbone: Any) -> Mapping[str, nn.Module]:
        """The modules below the lowest layer, by the backbone's attribute, in the order in which a text passes them."""
        return {"embeddings": backbone.embeddings}

    def pooler(self, backbone: Any) -> nn.Module | None:
        """The backbone's pooler, or None."""
        return None

    def first_token(self, layer: Any, states: Tensor, mask: Tensor) -> Tensor:
        """A layer's output at the first token, (batch, 1, hidden), from its input and the mask of real tokens."""
        raise NotImplementedError(f"{self.name}: set `first_token_alone` only with a method that computes it")

    def positions(self, values: Mapping[str, Any]) -> int:
        """The position embeddings."""
        return self.config(values).max_position_embeddings

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """A head for spans takes labels and gives logits as the other heads do."""
        if objective == "question_answering":
            model.register_forward_pre_hook(_spans_from_labels, with_kwargs=True)
            model.register_forward_hook(_spans_to_logits)
        return model

    def poolings(self, objective: str, values: Mapping[str, Any]) -> tuple[Pooling, ...]:
        """A classifier of texts reads the first token, through the pooler where there is one, or the mean."""
        if self.auto_classes[objective] != _OF_TEXTS:
            return ()
        return ("mean", "first") if _own_pooling(self.config(values)) == "mean" else ("first", "mean")

    def pool(self, model: nn.Module, pooling: Pooling) -> None:
        """For the mean, a pooler goes: it belongs to the first token, as it was pretrained or drawn for that one."""
        super().pool(model, pooling)
        base: Any = base_of(model)
        base.pooled_otherwise = pooling != _own_pooling(base.config)
        if not base.pooled_otherwise:
            return
        if pooling == "first":
            base.base_model.register_forward_hook(_first)
            return
        if self.pooler(base.base_model) is not None:
            base.base_model.pooler = None
        base.fresh = tuple(name for name in fresh_of(model) if name != "pooler")
        base.base_model.register_forward_hook(_mean, with_kwargs=True)

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The encoder's layers."""
        return list(getattr(base_of(model).base_model, self.stack).layer)

    def stages(self, model: nn.Module) -> list[Stage]:
        """Embeddings, each layer, and the pooler if it is pretrained."""
        backbone = base_of(model).base_model
        stages = [Stage("embeddings", tuple(self.embeddings(backbone).values()))]
        stages += [Stage(f"layer {index}", (layer,)) for index, layer in enumerate(self.layers(model))]
        pooler = self.pooler(backbone)
        fresh = "pooler" in fresh_of(model)
        return stages if pooler is None or fresh else [*stages, Stage("pooler", (pooler,))]

    def embedder(self, model: nn.Module) -> nn.Module:
        """The last of the embeddings' modules."""
        return list(self.embeddings(base_of(model).base_model).values())[-1]

    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """With the embeddings' own positions and norm."""
        states = ids[None]
        for module in self.embeddings(base_of(model).base_model).values():
            states = module(states)
        return states[0]

    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut above the embeddings, any layer, or the pooler (see `Family.split`)."""
        from tunebench.families.cut import stand_ins

        base = base_of(model)
        backbone: Any = base.base_model
        layers, pooler = list(self.layers(model)), self.pooler(backbone)
        frozen = depth - 1  # layers, and one more where the pooler is frozen
        whole, with_pooler = frozen >= len(layers), frozen > len(layers)
        hooked, mean = pooled_otherwise(model), pooling_of(model) == "mean"
        one_vector = pooled and whole and (hooked or not mean)  # the head's own mean is of all tokens
        first_only = one_vector and self.first_token_alone and not mean
        lower = self._with_layers(backbone, layers[:-1] if first_only else layers[:frozen])
        if pooler is not None:
            lower = stand_ins.shallow(lower, pooler=None)
        if hooked and not whole:
            stand_ins.without_output_hooks(lower)  # a text's vector is made above the cut

        def trunk(attention_mask: Tensor, **inputs: Tensor) -> Tensor:
            states = lower(attention_mask=attention_mask, **inputs).last_hidden_state
            if first_only:
                states = self.first_token(layers[-1], states, attention_mask)
            if with_pooler:
                assert pooler is not None, "only a pooler makes a stage above the layers"
                return pooler(states)[:, None]
            return states[:, :1] if one_vector else states

        upper: nn.Module = stand_ins.ComputedBackbone(None if with_pooler else pooler)
        if not whole:
            upper = self._on_states(self._with_layers(backbone, layers[frozen:]))
        return Split(trunk, stand_ins.shallow(base, **{base.base_model_prefix: upper}), one_vector)

    def _with_layers(self, backbone: Any, layers: Sequence[nn.Module]) -> Any:
        """The backbone with these layers only."""
        from torch.nn import ModuleList

        from tunebench.families.cut import stand_ins

        stack = stand_ins.shallow(getattr(backbone, self.stack), layer=ModuleList(layers))
        return stand_ins.shallow(backbone, **{self.stack: stack})

    def _on_states(self, backbone: Any) -> Any:
        """The backbone with nothing below its lowest layer: it takes states as `inputs_embeds`."""
        from torch.nn import Identity

        from tunebench.families.cut import stand_ins

        first, *rest = self.embeddings(backbone)
        return stand_ins.shallow(backbone, **{first: stand_ins.PassedStates()}, **{name: Identity() for name in rest})

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """One module for each role."""
        return {role: (path,) for role, path in self.roles.items()}


def _own_pooling(config: Any) -> Pooling:
    """How the class of transformers pools, where its configuration has a choice (ModernBERT, EuroBERT)."""
    return "mean" if getattr(config, "classifier_pooling", "cls") in ("mean", "late") else "first"


def _first(module: nn.Module, args: tuple, output: Any) -> Any:
    """Put the first token's state at every position: a head that takes the mean of all then reads that one."""
    states = output.last_hidden_state
    output.last_hidden_state = states[:, :1].expand_as(states)
    return output


def _mean(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
    """Put the mean where heads look for a text's vector: in the pooled output, and at every position.

    Virtual tokens stand behind the text in the mask, and no longer in the states.
    """
    from tunebench.families.cut.stand_ins import Output

    states, mask = output.last_hidden_state, kwargs.get("attention_mask")
    mean = mean_of(states, None if mask is None else mask[:, : states.shape[1]])
    return Output(
        last_hidden_state=mean[:, None].expand_as(states),
        pooler_output=mean,
        hidden_states=output.hidden_states,
        attentions=output.attentions,
    )


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
