"""What the techniques that PEFT implements share."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.ranges import Worth
from tunebench.families.base import Family
from tunebench.techniques.base import Trained, decay_groups

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
    modules = {}
    for name, module in model.named_modules():
        if id(module) in layers:
            inside = {path for path, _ in module.named_modules()}
            modules |= {f"{name}.{path}": None for role in roles for path in paths[role] if path in inside}
    return list(modules)


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


_VECTORS = ("ia3_l", "lora_E", "boft_s", "beft_bias", "randlora_lambda", "randlora_gamma")
"""PEFT's names of vectors that it stores with more than one dimension: factors, diagonals of matrices and biases."""


class PeftTechnique(Trained):
    """A technique whose model PEFT wraps."""

    def roles(self) -> tuple[str, ...]:
        """The linear modules that it adapts, by what they do."""
        return ()

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """A layer may compute a role in no linear module."""
        return family.lacks(self.roles())

    def parameter_groups(self, model: nn.Module, family: Family, weight_decay: float) -> list[dict[str, Any]]:
        """Without weight decay on the vectors that PEFT stores as matrices, such as (IA)3's."""
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        vectors = [p for name, p in named.items() if not set(_VECTORS).isdisjoint(name.split("."))]
        return decay_groups(list(named.values()), self.learning_rate, weight_decay, vectors)

    def save_adapter(self, model: Any, family: Family, folder: Path) -> bool:
        """PEFT's own folder: `PeftModel.from_pretrained(base, folder)` loads it, head included."""
        model.save_pretrained(str(folder))
        return True

    def merges(self, model: Any) -> bool:
        """Whether all of PEFT's layers in the model know how."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
        return bool(layers) and all(type(layer).merge is not BaseTunerLayer.merge for layer in layers)

    def merged(self, model: Any) -> nn.Module:
        """The adapter multiplied into the weights. What PEFT raises may leave the model half merged.

        Raises:
            UserError: PEFT cannot merge this method, or not with these settings.
        """
        from peft.utils.other import ModulesToSaveWrapper

        heads = [(name, module) for name, module in model.named_modules() if isinstance(module, ModulesToSaveWrapper)]
        for name, module in heads:  # peft 0.21 unwraps only those that have a weight of their own: a pooler has none
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.modules_to_save[module.active_adapters[0]])
        _untie(model)
        try:
            return model.merge_and_unload()
        except (AttributeError, RuntimeError, ValueError) as error:  # a method without: NotImplementedError, mostly
            why = f"{type(error).__name__}: {error}".removesuffix(".")
            raise UserError(f"{self.name}: PEFT does not merge this adapter into the weights ({why}).") from error


def _untie(model: Any) -> None:
    """Give every other user of an adapted weight a copy of its own, as merging changes the weight itself.

    A head that is tied to adapted token embeddings is the case: the adapter has not changed the head.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch import nn

    adapted = {id(layer.get_base_layer()) for layer in model.modules() if isinstance(layer, BaseTunerLayer)}
    users: dict[int, list[tuple[nn.Module, str, nn.Parameter]]] = {}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False, remove_duplicate=False):
            users.setdefault(id(weight), []).append((module, name, weight))
    for sharing in users.values():
        if len(sharing) > 1 and any(id(module) in adapted for module, _, _ in sharing):
            for module, name, weight in sharing[1:]:
                setattr(module, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
            model.get_base_model().config.tie_word_embeddings = False


class Ranked(PeftTechnique):
    """One rank for all targets; a base class of its own, so that the rank is the first setting."""

    rank: Annotated[int, Worth("Hu et al. 2021, table 6: 1 to 64", choices=(4, 8, 16, 32))] = Field(
        8, ge=1, description="rank of the update; Hu et al. 2021, table 9"
    )


class LowRank(PeftTechnique):
    """What LoRA and its variants share."""

    alpha: float = Field(
        16,
        gt=0,
        description="scale of the update is alpha / rank, here 2, as in the RoBERTa scripts of Hu et al. 2021",
    )
    dropout: float = Field(0.05, ge=0, lt=1, description="fraction of inputs to A that is dropped")
    targets: Annotated[
        tuple[str, ...],
        Worth(
            "Hu et al. 2021, 7.1; Biderman et al. 2024: all linear layers",
            choices=(("query", "value"), ROLES),
        ),
    ] = Field(("query", "value"), min_length=1, description=f"of {', '.join(ROLES)}; Hu et al. 2021, 7.1")

    def roles(self) -> tuple[str, ...]:
        """The targets."""
        return self.targets

    @field_validator("targets")
    @classmethod
    def _known_roles(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        return known_roles(cls.name, targets)

    def shared(self, model: nn.Module, family: Family) -> dict[str, Any]:
        """Fields of PEFT's configurations; `get_peft_model` fills these in place, so each application builds its own.

        No task type: it would only choose a wrapper class, and the head is named here.
        """
        names = modules_of(model, family, self.targets, self.name)
        return {
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": names,
            "fan_in_fan_out": is_transposed(model, names),
            "modules_to_save": family.head_names(model) or None,
        }
