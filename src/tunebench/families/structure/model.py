"""What is found in a model by looking at it, built from its configuration on the meta device."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tunebench._util.errors import UserError
from tunebench.families.structure.roles import roles_of
from tunebench.families.structure.stacks import Stack, stack_in
from tunebench.families.structure.trace import Trace, traced


@dataclass(frozen=True)
class Structure:
    """The parts of a model.

    Attributes:
        stacks: one, or that of the encoder and that of the decoder.
        roles: role -> paths of linear modules within a layer.
        attentions: for each stack, paths of the modules that call the attention function, in their order.
        key_value: heads and width of keys; None where nothing calls the attention function, or layers differ.
        hidden: width of the states.
    """

    stacks: tuple[Stack, ...]
    roles: Mapping[str, tuple[str, ...]]
    attentions: tuple[tuple[str, ...], ...]
    key_value: tuple[int, int] | None
    hidden: int


def structure_of(base: Any) -> Structure:
    """The structure of a transformers model, whatever has been added to it since it was built.

    Raises:
        UserError: its layers are not found, or are not as many as its configuration says.
    """
    if "_structure" not in base.__dict__:
        config = type(base.config).from_dict(base.config.to_dict())
        base.__dict__["_structure"] = _found(_Built(type(base), config.to_json_string(), config))
    return base.__dict__["_structure"]


class _Built:
    """A class and its configuration; equal where both are."""

    def __init__(self, cls: Any, text: str, config: Any):
        self.cls, self.text, self.config = cls, text, config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Built) and (self.cls, self.text) == (other.cls, other.text)

    def __hash__(self) -> int:
        return hash((self.cls, self.text))


@functools.lru_cache(maxsize=32)
def _found(built: _Built) -> Structure:
    kind = built.config.model_type
    with torch.device("meta"):
        model = built.cls(built.config)
    roots = _roots(model)
    try:
        read = traced(model, embedded=False)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, NotImplementedError) as error:
        raise UserError(
            f"model_type '{kind}': its layers cannot be found, because a text cannot be read without weights "
            f"({type(error).__name__}: {error})."
        ) from error
    embedded = _embedded(built)
    stacks = [stack_in(model, root, read, embedded) for root in roots]
    if any(stack is None for stack in stacks):
        raise UserError(f"model_type '{kind}': its layers cannot be found: no list of modules is passed in turn.")
    found = tuple(stack for stack in stacks if stack)
    _refuse_other_count(model.config, found)
    layers = [model.get_submodule(path) for stack in found for path in stack.layers]
    hidden = _hidden(read, found[0])
    shapes = {shape[1::2] for _, shape in read.attentions}
    return Structure(
        stacks=found,
        roles=roles_of(layers, hidden),
        attentions=tuple(_within(read, stack) for stack in found),
        key_value=next(iter(shapes)) if len(shapes) == 1 else None,  # type: ignore[arg-type]
        hidden=hidden,
    )


def _roots(model: Any) -> list[str]:
    paths = {module: path for path, module in model.named_modules()}
    parts = [model.get_encoder(), model.get_decoder()] if model.config.is_encoder_decoder else [model.base_model]
    return [paths[part] for part in parts]


def _embedded(built: _Built) -> Trace | None:
    """The reading of states that come as `inputs_embeds`; None where the model takes none."""
    with torch.device("meta"):
        model = built.cls(built.config)
    try:
        return traced(model, embedded=True)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, NotImplementedError):
        return None


def _hidden(read: Trace, stack: Stack) -> int:
    states = read.of(stack.layers[0])[0].states
    assert states is not None, "a layer is found by the states that it reads"
    return states.shape[-1]


def _within(read: Trace, stack: Stack) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path, _ in read.attentions if path.startswith(f"{stack.listed}.")))


def _refuse_other_count(config: Any, stacks: tuple[Stack, ...]) -> None:
    """The configuration says how many layers a text passes."""
    said = [_layers_of(config, "encoder_layers"), _layers_of(config, "decoder_layers", "num_decoder_layers")]
    for stack, number in zip(stacks, said if len(stacks) > 1 else [None], strict=True):
        expected = number or _layers_of(config, "num_hidden_layers")
        if expected is not None and expected != stack.passes:
            raise UserError(
                f"model_type '{config.model_type}': its layers cannot be found: a text passes {stack.passes} modules "
                f"of {stack.listed}, and its configuration says {expected}."
            )


def _layers_of(config: Any, *names: str) -> int | None:
    return next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
