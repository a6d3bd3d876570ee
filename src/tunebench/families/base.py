"""What a family of models knows: loading, stages, where to split, names of projections, tokenizer habits.

torch and transformers are imported where they are used: reading a study or printing help must not wait for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

AttentionKind = Literal["self", "masked", "cross"]
"""What an attention sees: the whole text, a token and those before it, or what the encoder read."""

Pooling = Literal["first", "mean", "last"]
"""Which vector stands for a text: that of its first token, the mean of all its tokens', or that of its last one."""


@dataclass(frozen=True)
class Stage:
    """One step of the forward pass, bottom first; `modules` hold its parameters."""

    name: str
    modules: tuple[nn.Module, ...]

    def trains(self) -> bool:
        """Whether any parameter of the stage is trainable."""
        return any(p.requires_grad for module in self.modules for p in module.parameters())


@dataclass(frozen=True)
class Split:
    """A model cut in two, sharing its parameters: `tail(inputs_embeds=trunk(**inputs), ...)` equals the model.

    Bit by bit, or to rounding where `one_vector`: matrix products then have other shapes.

    Attributes:
        trunk: inputs -> states (batch, tokens, hidden), or (batch, 1, hidden) where `one_vector`.
        tail: the model's own class and forward, whose lower stages take the states as `inputs_embeds`.
        one_vector: the tail reads only one token, so one vector per text is enough.
    """

    trunk: Callable[..., Tensor]
    tail: nn.Module
    one_vector: bool


class Family(ABC):
    """Models of one shape. A family has no state; its name is its file's name."""

    name: ClassVar[str]
    title: str
    architecture: ClassVar[Literal["encoder", "decoder", "encoder-decoder"]]
    model_types: ClassVar[tuple[str, ...]]
    """`model_type` values of transformers configurations that this family loads."""
    auto_classes: Mapping[str, str]
    """Objective -> transformers auto class."""
    fresh_heads: ClassVar[tuple[str, ...]] = (
        "sequence_classification",
        "multi_label_classification",
        "regression",
        "token_classification",
        "question_answering",
    )
    """Objectives whose head is new; in others a pretrained one answers."""
    language_head: str | None = None
    """Transformers class of the language-modelling head that a checkpoint may hold, and that a new head replaces."""
    shapes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Hub id -> configuration, known offline, so that `plan` needs no network."""
    on_the_hub: ClassVar[bool] = True
    """Whether the hub has weights and tokenizers of these shapes."""
    cuts_are_known: ClassVar[bool] = True
    """Whether `split` is right by construction, and tested; else each cut is proven before it is used."""

    def bound(self, values: Mapping[str, Any]) -> Family:
        """The family of models with this configuration: one that finds out more about each than its shape."""
        return self

    def examine(self) -> None:
        """Look at a model without weights, where its parts are found by looking.

        Raises:
            UserError: they are not found.
        """
        return

    def no_head(self, objective: str) -> str:
        """Why a task of this objective cannot be posed to the family's models."""
        return f"the family {self.name} has no head for {objective}"

    def refuses_prefix(self) -> str | None:
        """Why the attention of the family's models takes no keys and values from outside; None where it does."""
        return None

    def refuses_prompt(self) -> str | None:
        """Why soft tokens cannot join a text in the family's models; None where they can."""
        return None

    def lacks(self, roles: Sequence[str]) -> str | None:
        """Why one of these roles has no linear module in the family's models; None where all have one."""
        return None

    def size(self, values: Mapping[str, Any]) -> tuple[int, int]:
        """Width of the states and number of layers, of all stacks, of a model with this configuration."""
        config: Any = self.config(values)
        return config.hidden_size, config.num_hidden_layers + (getattr(config, "num_decoder_layers", None) or 0)

    def config(self, values: Mapping[str, Any]) -> PreTrainedConfig:
        """A configuration object from the content of a `config.json`."""
        from transformers import AutoConfig

        return AutoConfig.for_model(**values)

    def auto_class(self, objective: str) -> Any:
        """The transformers class that makes models with this objective's head."""
        import transformers

        return getattr(transformers, self.auto_classes[objective])

    @abstractmethod
    def positions(self, values: Mapping[str, Any]) -> int:
        """How many tokens a model with this configuration can take."""

    def skeleton(
        self, values: Mapping[str, Any], objective: str, head: Mapping[str, Any], folder: Path | None = None
    ) -> PreTrainedModel:
        """The model without weights, on the meta device: what `plan` counts.

        `folder` is its checkpoint, if it is local.
        """
        import torch

        config = self.config({**values, **head})
        with torch.device("meta"):
            model = self.auto_class(objective).from_config(config)
        model.fresh = self.fresh(folder) if folder else ()
        return model

    def draw(self, values: Mapping[str, Any], objective: str, head: Mapping[str, Any]) -> PreTrainedModel:
        """The model with this configuration in float32, all of its weights drawn from torch's current seed."""
        import torch

        model = self.auto_class(objective).from_config(self.config({**values, **head}), dtype=torch.float32)
        model.fresh = ()  # with random weights the pooler is no different from the other modules
        return self.prepared(model.eval(), objective)

    def load(self, folder: Path, objective: str, head: Mapping[str, Any], shapes_only: bool = False) -> PreTrainedModel:
        """Weights from a local folder in float32, with a fresh head drawn from torch's current seed.

        A head that the folder holds is not taken: it was trained for other labels, or for another order of them. A
        pretrained language-modelling head is taken. `shapes_only`: on the meta device, without reading a weight.

        Raises:
            UserError: the folder's weights cannot be read or do not fit its configuration.
        """
        from tunebench.families import _folder

        return self.prepared(_folder.read_weights(self, folder, objective, head, shapes_only), objective)

    def language_model(self, folder: Path) -> PreTrainedModel | None:
        """The checkpoint under its own language-modelling head, in float32; None where the folder holds no such head.

        A model of an objective that is none of `fresh_heads` has it already.
        """
        from tunebench.families import _folder

        return _folder.read_language_model(folder, self.language_head) if self.language_head else None

    def prepared(self, model: Any, objective: str) -> PreTrainedModel:
        """A new model as the engine expects it: labels, logits and pooled token in the same place in all families."""
        return model

    def poolings(self, objective: str, values: Mapping[str, Any]) -> tuple[Pooling, ...]:
        """How a text's vector may be made for this objective's head, the model's own way first; none: it reads none.

        `values` is the content of the model's `config.json`, which may choose its own way.
        """
        return ()

    def pool(self, model: nn.Module, pooling: Pooling) -> None:
        """Let the head read a text's vector that is made in this way, one of `poolings`."""
        base_of(model).pooling = pooling  # type: ignore[assignment]

    def fresh(self, folder: Path) -> tuple[str, ...]:
        """Modules of the backbone that a checkpoint lacks or has never trained: they belong to the head."""
        return ()

    def tokenizer(self, folder: Path) -> PreTrainedTokenizerBase:
        """The folder's tokenizer, which must be a fast one: tagging needs its word positions.

        Where it has no padding token, end-of-text fills batches. That token never marks padding: masks and labels come
        from the texts' lengths.

        Raises:
            UserError: there is none, or this machine's libraries cannot read it.
        """
        from tunebench.families import _folder

        tokenizer = _folder.read_tokenizer(folder, self.tokenizer_habits)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.sep_token or tokenizer.unk_token
        return tokenizer

    tokenizer_habits: ClassVar[Mapping[str, Any]] = {}

    reads_left_to_right: ClassVar[bool] = False
    """Whether a token sees only those before it, so that virtual tokens must stand before the text."""

    prompt_first: bool = False
    """Whether a prompt precedes the text that is read as a whole: positions are relative, and padding ends a text."""

    prompt_is_read: bool = False
    """Whether a prompt is read as the embedded beginning of the text, by an encoder, and takes up positions."""

    def head(self, model: nn.Module) -> list[nn.Module]:
        """The modules above the backbone, and those of it that were never trained.

        A pretrained language-modelling head is not among them.
        """
        base = base_of(model)
        pretrained: Any = (base.base_model, base.get_output_embeddings())
        above = [child for child in base.children() if not any(child is other for other in pretrained)]
        fresh = (getattr(base.base_model, name, None) for name in fresh_of(model))
        return above + [module for module in fresh if module is not None]

    def lowest_of_head(self, model: nn.Module) -> nn.Module:
        """The head's module that reads the backbone's states."""
        backbone = base_of(model).base_model
        fresh = [getattr(backbone, name) for name in fresh_of(model) if getattr(backbone, name, None) is not None]
        return next(module for module in [*fresh, *self.head(model)] if any(True for _ in module.parameters()))

    def head_names(self, model: nn.Module) -> list[str]:
        """The attribute names of the head's modules that hold parameters."""
        base = base_of(model)
        named = [*base.named_children(), *base.base_model.named_children()]
        head = {id(module) for module in self.head(model)}
        return [name for name, child in named if id(child) in head and any(True for _ in child.parameters())]

    @abstractmethod
    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """The Transformer layers, lowest first."""

    def stacks(self, model: nn.Module) -> list[Sequence[nn.Module]]:
        """The layers by stack: one, or those of the encoder and those of the decoder."""
        return [self.layers(model)]

    @abstractmethod
    def stages(self, model: nn.Module) -> list[Stage]:
        """The backbone's stages, lowest first, without the head."""

    @abstractmethod
    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """The modules that call the attention function, one a layer, lowest first."""

    @abstractmethod
    def embedder(self, model: nn.Module) -> nn.Module:
        """The module whose output enters the lowest layer; in a decoder before positions are added to it."""

    @abstractmethod
    def embedded(self, model: nn.Module, ids: Tensor) -> Tensor:
        """What the embedder gives for these token ids, (tokens,) -> (tokens, hidden)."""

    def attend_to_prefix(self, model: nn.Module) -> None:
        """Let the attention modules also attend to their `prefix`: keys and values, (heads, prefix, width) each."""
        from tunebench.families.attention import prefix

        base_of(model).set_attn_implementation(prefix.ATTENTION)

    def entrances(self, model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
        """The modules where a forward pass begins, each with the attention modules behind it."""
        return [(base_of(model).base_model, self.attentions(model))]

    def attention_kinds(self, model: nn.Module) -> dict[AttentionKind, list[nn.Module]]:
        """The attention modules by what they see, lowest layer first.

        A decoder's self-attention and cross-attention take turns in `attentions`.
        """
        text, *decoder = (behind for _, behind in self.entrances(model))
        if not decoder:
            return {"masked" if self.reads_left_to_right else "self": text}
        return {"self": text, "masked": decoder[0][::2], "cross": decoder[0][1::2]}

    def show_attention(self, model: nn.Module) -> None:
        """Let the attention modules give their weights, (batch, heads, queries, keys), last in their output."""
        from tunebench.families.attention import prefix

        base = base_of(model)
        prefixed = base.config._attn_implementation == prefix.ATTENTION
        base.set_attn_implementation(prefix.EAGER if prefixed else "eager")

    def keys_and_values(self, model: nn.Module, ids: Tensor) -> Tensor:
        """Keys and values of a text in every layer, (layers, 2, heads, tokens, width), after `attend_to_prefix`."""
        from tunebench.families.attention import prefix

        return prefix.keys_and_values(base_of(model).base_model, self.attentions(model), ids)

    def prompt_width(self, model: nn.Module) -> int:
        """Width of the states that a prompt joins."""
        return self.width(model)

    def width(self, model: nn.Module) -> int:
        """Width of the states."""
        config: Any = base_of(model).config
        return config.hidden_size

    def key_value_shape(self, model: nn.Module) -> tuple[int, int]:
        """Heads of keys and values, and their width."""
        config: Any = base_of(model).config
        return config.num_attention_heads, config.hidden_size // config.num_attention_heads

    @abstractmethod
    def split(self, model: nn.Module, depth: int, pooled: bool) -> Split:
        """Cut a model above its lowest `depth` stages.

        Args:
            model: a model of this family, or a PEFT model around one.
            depth: 0 < depth <= len(stages).
            pooled: whether the head reads one token only.
        """

    @abstractmethod
    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """Role (query, key, value, output, mlp_in, mlp_out) -> paths of linear modules within a layer that has them."""

    def end_of_feed_forward(self, layer: nn.Module) -> nn.Module:
        """The module of a layer whose output leaves the feed-forward sub-layer: the norm that follows the addition.

        In a layer that normalises before its sub-layers (the default), the layer itself.
        """
        return layer

    def frozen_depth(self, model: nn.Module) -> int:
        """Number of leading stages without trainable parameters; 0 if one is outside stages and head."""
        stages = self.stages(model)
        placed = {id(p) for stage in stages for module in stage.modules for p in module.parameters()}
        placed |= {id(p) for module in self.head(model) for p in module.parameters()}
        if any(p.requires_grad and id(p) not in placed for p in model.parameters()):
            return 0
        return next((depth for depth, stage in enumerate(stages) if stage.trains()), len(stages))


def base_of(model: Any) -> PreTrainedModel:
    """The transformers model, also inside a PEFT model."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def pooling_of(model: Any) -> Pooling | None:
    """How a text's vector is made, where `Family.pool` said so; None: in the model's own way."""
    return getattr(base_of(model), "pooling", None)


def pooled_otherwise(model: Any) -> bool:
    """Whether the model's class in transformers, which pools in its own way, would give other answers."""
    return getattr(base_of(model), "pooled_otherwise", False)


def fresh_of(model: Any) -> tuple[str, ...]:
    """The backbone's modules that its checkpoint lacks or has never trained (see `Family.fresh`)."""
    fresh: Any = base_of(model).fresh
    return fresh


def mean_of(states: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the real tokens' states, (batch, tokens, hidden) -> (batch, hidden), summed in float32."""
    if mask is None:
        return states.mean(1)
    weights = mask[..., None].float()
    return ((states.float() * weights).sum(1) / weights.sum(1)).to(states.dtype)


def redrawn_of(model: Any) -> tuple[str, ...]:
    """The head's modules whose weights in the checkpoint were not taken (see `Family.load`)."""
    return getattr(base_of(model), "redrawn", ())
