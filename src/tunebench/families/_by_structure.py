"""What the families share that find a model's parts by looking at it: one a shape, for every type without its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError, brief
from tunebench.families._folder import refusals
from tunebench.families.base import Family, Stage, base_of

if TYPE_CHECKING:
    from torch import nn

    from tunebench.families.structure.model import Structure
    from tunebench.families.structure.stacks import Stack

_NO_LIMIT = 1 << 20
_LIMITS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_source_positions")


class ByStructure(Family):
    """A shape's family, of one configuration, or of none: then it only stands in lists.

    Args:
        values: the content of a model's `config.json`.
    """

    model_types = ()
    cuts_are_known = False

    def __init__(self, values: Mapping[str, Any] | None = None):
        self._values = values
        if values is not None:
            from transformers import CONFIG_MAPPING

            from tunebench.families.structure.types import has_class, heads_of

            kind = values["model_type"]
            self.auto_classes = heads_of(kind, type(self).auto_classes)
            self.language_head = self.language_head if has_class(kind, self.language_head) else None
            self.title = CONFIG_MAPPING[kind].__name__.removesuffix("Config")

    def bound(self, values: Mapping[str, Any]) -> Family:
        """The family of models with this configuration."""
        return type(self)(values)

    def examine(self) -> None:
        """As `Family.examine`."""
        if self._values is not None:
            _ = self._example

    def no_head(self, objective: str) -> str:
        """Transformers has classes for some heads of a type."""
        if objective in type(self).auto_classes and self._values is not None:
            return f"transformers has no class of {self._values['model_type']} for {objective}"
        return super().no_head(objective)

    def positions(self, values: Mapping[str, Any]) -> int:
        """Position embeddings, less those that RoBERTa's kin leave free, or the length of rotary ones."""
        config: Any = self.config(values)
        config = config.get_text_config()
        limits = (getattr(config, name, None) for name in _LIMITS)
        limit = next((n for n in limits if isinstance(n, int) and n != -1), _NO_LIMIT)  # -1: XLNet's for none
        return limit - self._numbered_from(limit)

    def _numbered_from(self, limit: int) -> int:
        """The first position's number: where positions have a padding index, they begin behind it."""
        from torch import nn

        model, below = self._example
        for module in (inside for place in below.below for inside in model.get_submodule(place).modules()):
            if isinstance(module, nn.Embedding) and module.num_embeddings == limit and module.padding_idx is not None:
                tokens = model.get_input_embeddings()
                return 0 if module is tokens else module.padding_idx + 1
        return 0

    @functools.cached_property
    def _example(self) -> tuple[Any, Stack]:
        """A model without weights, and its lowest stack."""
        assert self._values is not None, "a family without a configuration has no model"
        try:
            model = self.skeleton(self._values, next(iter(self.auto_classes)), {})
        except refusals() as error:
            kind = self._values["model_type"]
            raise UserError(
                f"model_type '{kind}': no model can be built from its config.json ({brief(error)}). "
                "Give one made by save_pretrained."
            ) from error
        return model, self.structure(model).stacks[0]

    def structure(self, model: nn.Module) -> Structure:
        """What is found in a model.

        Raises:
            UserError: its layers are not found.
        """
        from tunebench.families.structure.model import structure_of

        return structure_of(base_of(model))

    def _at(self, model: nn.Module, places: Sequence[str]) -> list[nn.Module]:
        """The modules at these places that the model still has: a mean of tokens drops a pooler."""
        base = base_of(model)
        return [module for place in places if (module := _module(base, place)) is not None]

    def stacks(self, model: nn.Module) -> list[Sequence[nn.Module]]:
        """The layers of each stack; each remembers where in it the norm is that ends it."""
        found = []
        for stack in self.structure(model).stacks:
            layers = self._at(model, stack.layers)
            for layer, path, closing in zip(layers, stack.layers, stack.closing, strict=True):
                layer.__dict__["_closing"] = closing.removeprefix(f"{path}.")
            found.append(layers)
        return found

    def layers(self, model: nn.Module) -> Sequence[nn.Module]:
        """All layers, the encoder's first."""
        return [layer for stack in self.stacks(model) for layer in stack]

    def _of_layers(self, model: nn.Module, stack: Stack, name: str) -> list[Stage]:
        """A stage for each layer, with what lies between it and the next."""
        return [
            Stage(f"{name} {index}", tuple(self._at(model, (layer, *stack.between[index]))))
            for index, layer in enumerate(stack.layers)
        ]

    def _completed(self, model: nn.Module, stages: list[Stage]) -> list[Stage]:
        """The stages, the lowest with the backbone's parameters that no module of a stage holds."""
        from torch.nn import ParameterList

        base = base_of(model)
        named = {id(p) for stage in stages for module in stage.modules for p in module.parameters()}
        named |= {id(p) for module in self.head(model) for p in module.parameters()}
        known = self._own_parameters(base)
        loose = [p for name, p in base.named_parameters() if id(p) not in named and name in known]
        if not loose:
            return stages
        lowest, *others = stages
        return [Stage(lowest.name, (*lowest.modules, ParameterList(loose))), *others]

    def _own_parameters(self, base: Any) -> frozenset[str]:
        """The names of parameters that the model was built with: techniques add others."""
        if "_own" not in base.__dict__:
            import torch

            config = type(base.config).from_dict(base.config.to_dict())
            with torch.device("meta"):
                base.__dict__["_own"] = frozenset(name for name, _ in type(base)(config).named_parameters())
        return base.__dict__["_own"]

    def entrances(self, model: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
        """The module that a text enters in each stack, with its attention modules."""
        found = self.structure(model)
        return [
            (base_of(model).get_submodule(stack.root), self._at(model, attentions))
            for stack, attentions in zip(found.stacks, found.attentions, strict=True)
        ]

    def attentions(self, model: nn.Module) -> list[nn.Module]:
        """The modules that call the attention function."""
        return [attention for _, behind in self.entrances(model) for attention in behind]

    def key_value_shape(self, model: nn.Module) -> tuple[int, int]:
        """As the keys of the model are."""
        shape = self.structure(model).key_value
        assert shape is not None, "refuses_prefix says so"
        return shape

    def projections(self, model: nn.Module) -> dict[str, tuple[str, ...]]:
        """The roles that the layers have."""
        return dict(self.structure(model).roles)

    def end_of_feed_forward(self, layer: Any) -> nn.Module:
        """The norm whose output is the layer's, or the layer itself."""
        place = getattr(layer, "_closing", "")
        return layer.get_submodule(place) if place else layer

    def attend_to_prefix(self, model: nn.Module) -> None:
        """As `Family.attend_to_prefix`, by the model's own function where transformers has no other for it."""
        from tunebench.families.attention import prefix

        base: Any = base_of(model)
        own = not base._supports_sdpa
        base.set_attn_implementation(prefix.EAGER if own else prefix.ATTENTION)

    def refuses_prefix(self) -> str | None:
        """Keys and values from outside enter where all layers call transformers' attention function."""
        if self._values is None:
            return None
        model, _ = self._example
        found = self.structure(model)
        if not any(found.attentions):
            return f"{self.title} computes attention in a function of its own, which takes no keys and values"
        kinds = (1, 2)
        for stack, attentions, kind in zip(found.stacks, found.attentions, kinds, strict=False):
            if len(attentions) != kind * len(stack.layers):
                return f"{len(attentions)} modules of the {len(stack.layers)} layers of {self.title} attend to keys"
        return None if found.key_value else f"the layers of {self.title} have keys of different shapes"

    def lacks(self, roles: Sequence[str]) -> str | None:
        """A layer may compute a role in no linear module."""
        if self._values is None:
            return None
        model, _ = self._example
        known = self.structure(model).roles
        absent = [role for role in roles if role not in known]
        return f"no linear module of {self.title} computes its {absent[0]}" if absent else None

    def prompt_width(self, model: nn.Module) -> int:
        """That of the token embeddings, which some models widen above them."""
        embeddings: Any = base_of(model).get_input_embeddings()
        return embeddings.weight.shape[-1]

    def width(self, model: nn.Module) -> int:
        """As found in the model."""
        return self.structure(model).hidden

    def refuses_prompt(self) -> str | None:
        """A prompt joins an embedded text."""
        if self._values is None or self._example[1].takes_states:
            return None
        return f"{self.title} reads token ids only, so that a prompt cannot join them"

    def size(self, values: Mapping[str, Any]) -> tuple[int, int]:
        """As found in the model."""
        model, _ = self._example
        found = self.structure(model)
        return found.hidden, sum(stack.passes for stack in found.stacks)


def _module(base: Any, place: str) -> nn.Module | None:
    """The module at a place, or None where the model has dropped it."""
    try:
        return base.get_submodule(place)
    except AttributeError:
        return None
