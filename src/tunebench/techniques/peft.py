"""Any method of the PEFT library by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from tunebench._util.errors import UserError, did_you_mean
from tunebench.families.base import Family
from tunebench.techniques import _peft

if TYPE_CHECKING:
    from torch import nn

_OURS = ("task_type", "inference_mode", "modules_to_save", "base_model_name_or_path", "revision")


class Peft(_peft.PeftTechnique):
    """`{name: peft, type: VERA, r: 64}`: the type is PEFT's, and so are all further fields, with PEFT's defaults.

    `target_modules` may name modules, or roles (query, key, value, output, mlp_in, mlp_out). The head trains.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name = "peft"
    title = "PEFT method"
    paper = "Mangrulkar et al. 2022, PEFT, https://github.com/huggingface/peft"

    type: str = Field(description="PEFT's name of the method: VERA, OFT, BOFT, LOHA, LOKR, FOURIERFT, ...")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="no one rate suits all methods: set it")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as CONFIGS

        known = {str(kind.value): cls for kind, cls in CONFIGS.items()}
        cls: Any = known.get(self.type.upper())
        if cls is None:
            raise UserError(f"peft.type: PEFT has no method '{self.type}'. {did_you_mean(self.type.upper(), known)}")
        options = dict(self.model_extra or {})
        fields = [name for name in cls.__dataclass_fields__ if name not in _OURS]
        for name in options:
            if name not in fields:
                raise UserError(f"peft.{name}: {self.type} has no field '{name}'. {did_you_mean(name, fields)}")
        targets = options.get("target_modules")
        if isinstance(targets, list) and all(target in _peft.ROLES for target in targets):
            options["target_modules"] = _peft.modules_of(model, family, targets, "peft")
        if "modules_to_save" not in cls.__dataclass_fields__ or issubclass(cls, _prompt_learning()):
            raise UserError(
                f"peft.type: {self.type} trains virtual tokens, which in PEFT shift the labels or the pooled token of "
                "some families. Use prompt_tuning, prefix_tuning or p_tuning_v2."
            )
        try:
            return _peft.wrapped(model, cls(**options, modules_to_save=family.head_names(model) or None))
        except (TypeError, ValueError) as error:
            raise UserError(f"peft, type {self.type}: PEFT refuses these settings ({error}).") from error


def _prompt_learning() -> type:
    from peft.config import PromptLearningConfig

    return PromptLearningConfig
