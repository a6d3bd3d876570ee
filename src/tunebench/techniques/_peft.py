"""What the techniques that PEFT implements share."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench.errors import UserError, did_you_mean
from tunebench.families.base import Family

if TYPE_CHECKING:
    from torch import nn

ROLES = ("query", "key", "value", "output", "mlp_in", "mlp_out")
"""Linear modules of a layer, by what they do; `Family.projections` gives a family's names for them."""


def known_roles(technique: str, targets: tuple[str, ...]) -> tuple[str, ...]:
    """The targets, if all of them are roles.

    Raises:
        ValueError: one is not.
    """
    for target in targets:
        if target not in ROLES:
            raise ValueError(f"{technique} has no target '{target}'. {did_you_mean(target, ROLES)}")
    return targets


def modules_of(model: nn.Module, family: Family, roles: Iterable[str], technique: str) -> list[str]:
    """Full names of the linear modules with these roles in every layer; one that has two roles stands once.

    Raises:
        UserError: the model has no such module.
    """
    paths = family.projections(model)
    absent = [role for role in roles if role not in paths]
    if absent:
        raise UserError(
            f"{technique}.targets: this model has no '{absent[0]}' projection. Choose from: {', '.join(paths)}."
        )
    layers = {id(layer) for layer in family.layers(model)}
    names = [name for name, module in model.named_modules() if id(module) in layers]
    return list(dict.fromkeys(f"{name}.{paths[role]}" for name in names for role in roles))


def is_transposed(model: nn.Module, names: Iterable[str]) -> bool:
    """Whether these modules keep their weights as (in, out), as GPT-2's do."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(model.get_submodule(name), Conv1D) for name in names)


def wrapped(model: Any, config: Any) -> nn.Module:
    """A PEFT model around the given one."""
    from peft import get_peft_model

    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for a name it renamed
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, config)


def save(model: Any, folder: Path) -> None:
    """PEFT's own folder: `PeftModel.from_pretrained(base, folder)` loads it, head included."""
    model.save_pretrained(str(folder))
