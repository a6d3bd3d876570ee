"""Settings of PEFT that change nothing: a setting that is accepted and does nothing misleads its reader."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Build = Callable[[Any, dict[str, Any]], "nn.Module"]
"""Makes the PEFT model around a copy of the given one, with these options."""

REFUSALS = (
    *(TypeError, ValueError, AttributeError, LookupError, ArithmeticError),
    *(RuntimeError, AssertionError, ImportError, OSError, re.error),
)
"""What PEFT raises where settings do not fit each other or the model. Without weights no memory can be lacking."""
_VALUES_ONLY = re.compile(r"init|seed|prng_key|_svd|sparse$|^(fan_in_fan_out|save_\w+|delora_lambda|select_top)$")
"""Settings that decide initial values, or what a file holds: the structure does not show them."""
_CHOSEN_BY_PEFT = ("target_modules", "layers_to_transform", "feedforward_modules")
"""A single item of these may name what PEFT takes by itself; where it is not there, PEFT refuses it."""


def idle_setting(model: nn.Module, build: Build, options: Mapping[str, Any], asked: Iterable[str]) -> str | None:
    """A setting, or a part of one, without which PEFT makes the same model; None where each has its effect.

    Two models are the same if their modules, plain attributes, and the shapes and trainability of their parameters are.

    Args:
        model: without weights, on the meta device; it is copied, once for each part of a setting.
        build: makes the PEFT model.
        options: the settings.
        asked: those that must have an effect.
    """
    if options.get("layers_pattern") and options.get("layers_to_transform") is None:
        return "layers_pattern (without layers_to_transform)"

    def made(chosen: dict[str, Any]) -> dict[tuple[str, str], str]:
        with warnings.catch_warnings(action="ignore"):  # the model itself is made once more, and warns then
            return structure(build(copy.deepcopy(model), chosen))

    whole = made(dict(options))
    for part, rest in _without(options, asked):
        try:
            if made(rest) == whole:
                return part
        except REFUSALS:  # PEFT makes no model without it, so that it has an effect
            continue
    return None


def structure(model: nn.Module) -> dict[tuple[str, str], str]:
    """A model's modules, attributes and shapes, without the values of tensors."""
    parts = {
        (name, key): _written(value)
        for name, module in model.named_modules()
        for key, value in [("class", type(module).__name__), *vars(module).items()]
        if not key.startswith("_") and key not in ("training", "config", "peft_config")
    }
    parts |= {(name, "parameter"): f"{tuple(p.shape)} {p.requires_grad}" for name, p in model.named_parameters()}
    return parts | {(name, "buffer"): f"{tuple(b.shape)}" for name, b in model.named_buffers()}


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return str({key: _written(item) for key, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return str(sorted(_written(item) for item in value))
    return repr(value) if value is None or isinstance(value, bool | int | float | str) else type(value).__name__


def _without(options: Mapping[str, Any], asked: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each setting, or each item of one that holds several, with the options that are left without it."""
    for name in asked:
        value = options[name]
        if _VALUES_ONLY.search(name) or name == "layers_pattern":
            continue
        if isinstance(value, list) and len(value) > 1:
            for index, item in enumerate(value):
                yield f"{name} {item!r}", {**options, name: value[:index] + value[index + 1 :]}
        elif isinstance(value, dict) and len(value) > 1:
            for key in value:
                rest = {other: kept for other, kept in value.items() if other != key}
                yield f"{name} {key!r}", {**options, name: rest}
        elif name not in _CHOSEN_BY_PEFT:
            yield f"{name} {value!r}", {other: kept for other, kept in options.items() if other != name}
