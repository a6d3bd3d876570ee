"""Any method of the PEFT library by its name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from tunebench._util.errors import UserError, brief, did_you_mean, shown
from tunebench.families.base import Family
from tunebench.techniques import _idle, _peft, _reached

if TYPE_CHECKING:
    from torch import nn

_OURS = ("task_type", "inference_mode", "modules_to_save", "base_model_name_or_path", "revision")
_OURS += ("peft_type", "auto_mapping", "peft_version")
_VECTOR_METHODS = ("IA3", "BOFT", "BEFT", "RANDLORA")
"""Methods with vectors that PEFT stores as matrices (`_peft.py`)."""
_TAKEN_ELSEWHERE = {
    "ADALORA": "its ranks fall only where the training loop allocates them, as adalora's does. Use adalora",
    "POLY": "it asks for the number of a task with each text. Use LORA",
    "SHADOW": "it answers with a second model beside the first one. Use LORA",
}
_OTHER_STEPS = (
    *("eva_config", "corda_config", "lora_ga_config", "kasa_config", "monteclora_config", "arrow_config", "use_asa"),
    *(("init_lora_weights", method) for method in ("eva", "corda", "lora_ga")),
)
"""Fields, or fields with a value, whose method needs data before training, a term of the loss or a call per step."""


class Peft(_peft.PeftTechnique):
    """`{name: peft, type: VERA, r: 64}`: the type and all further fields are PEFT's, with PEFT's defaults.

    `target_modules` may name modules, or roles (query, key, value, output, mlp_in, mlp_out). The head trains. A setting
    that changes nothing in the model is refused when the study is planned.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name = "peft"
    title = "PEFT method"
    paper = "Mangrulkar et al. 2022, PEFT, https://github.com/huggingface/peft"

    type: str = Field(description="PEFT's name of the method: VERA, OFT, BOFT, LOHA, LOKR, FOURIERFT, ...")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="no single rate suits all methods: set it")

    @property
    def version(self) -> int:  # type: ignore[override]
        """2 where weight decay pulled vectors towards 0 before."""
        return 2 if self.type.upper() in _VECTOR_METHODS else 1

    def roles(self) -> tuple[str, ...]:
        """Targets that are roles."""
        targets = (self.model_extra or {}).get("target_modules")
        return tuple(t for t in targets if t in _peft.ROLES) if isinstance(targets, list) else ()

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one.

        Raises:
            UserError: PEFT has no such method or field, refuses a setting, or, on the meta device, where studies are
                planned, makes the same model without it; or the method needs more than its model to be trained.
        """
        cls = _method(self.type)
        options = self._options(cls, model, family)
        head = family.head_names(model) or None

        def build(base: Any, chosen: dict[str, Any]) -> nn.Module:
            # copied, as get_peft_model fills a configuration in place
            return _peft.wrapped(base, cls(**copy.deepcopy(chosen), modules_to_save=head))

        if any(parameter.is_meta for parameter in model.parameters()):
            return self._tried(model, build, options, self._asked(cls, options))
        try:
            return build(model, options)
        except (TypeError, ValueError) as error:
            raise self._refused(error) from error

    def _tried(self, model: nn.Module, build: _idle.Build, options: dict[str, Any], asked: list[str]) -> nn.Module:
        """The PEFT model without weights, each setting looked at."""
        self._refuse_idle(model, build, options, asked)
        plain = copy.deepcopy(model)
        try:
            tuned = build(model, options)
            self._refuse_unreached(tuned, plain)
        except _idle.REFUSALS as error:
            raise self._refused(error) from error
        return tuned

    def _refuse_unreached(self, tuned: nn.Module, plain: Any) -> None:
        """What is added must train: be there, and be part of the answer."""
        if not any(p.requires_grad and "modules_to_save" not in name for name, p in tuned.named_parameters()):
            raise UserError(
                f"peft, type {self.type}: it adds nothing to these modules. Choose others, or another type."
            )
        idle = _reached.unreached(tuned, plain)
        if idle is not None:
            raise UserError(
                f"peft.target_modules: the model does not use what {self.type} adds to '{shown(idle)}' (it calls that "
                "module by another name, or not at all). Leave it out."
            )

    def _refuse_idle(self, model: nn.Module, build: _idle.Build, options: dict[str, Any], asked: list[str]) -> None:
        try:
            idle = _idle.idle_setting(model, build, options, asked)
        except NotImplementedError as error:
            why = f"peft.type: {self.type} cannot be planned without the weights ({brief(error)})."
            raise UserError(why) from error
        except _idle.REFUSALS as error:
            raise self._refused(error) from error
        if idle is not None:
            raise UserError(f"peft.{idle}: {self.type} is the same model without it. Leave it out, or correct it.")

    def _refused(self, error: Exception) -> UserError:
        return UserError(f"peft, type {self.type}: PEFT refuses these settings ({brief(error)}).")

    def _options(self, cls: Any, model: nn.Module, family: Family) -> dict[str, Any]:
        """The settings for PEFT, roles replaced by names of modules."""
        self._refuse_values(model)
        options = dict(self.model_extra or {})
        fields = [name for name in cls.__dataclass_fields__ if name not in _OURS]
        for name, value in options.items():
            if name not in fields:
                raise UserError(f"peft.{name}: {self.type} has no field '{name}'. {did_you_mean(name, fields)}")
            if name in _OTHER_STEPS or (name, value) in _OTHER_STEPS:
                raise UserError(
                    f"peft.{name}: it asks for data before training, a term of the loss or a call per step, which "
                    "tunebench does not give. Leave it out."
                )
        targets = options.get("target_modules")
        if isinstance(targets, list) and targets and all(target in _peft.ROLES for target in targets):
            names = _peft.modules_of(model, family, targets, "peft")
            if options.get("layers_to_transform") is not None:
                # PEFT heeds it where a target is the end of a module's name, and ignores it where it is the whole name
                names = [name.partition(".")[2] for name in names]
            options["target_modules"] = names
        return options

    def _refuse_values(self, model: Any) -> None:
        """Values that PEFT takes, and with which no training works."""
        for name, value in (self.model_extra or {}).items():
            if "dropout" in name and not (isinstance(value, int | float) and 0 <= value < 1):
                raise UserError(f"peft.{name}: {shown(value)} is no such fraction. Give one from 0 to below 1.")
        tokens = (self.model_extra or {}).get("trainable_token_indices")
        known = model.config.vocab_size
        lists = tokens.values() if isinstance(tokens, dict) else [tokens]
        for index in (index for indices in lists if isinstance(indices, list) for index in indices):
            if not isinstance(index, int) or not 0 <= index < known:
                raise UserError(
                    f"peft.trainable_token_indices: {shown(index)} is no token of this model. Give 0 to {known - 1}."
                )

    def _asked(self, cls: Any, options: dict[str, Any]) -> list[str]:
        """The settings that must have an effect: no defaults, and no roles, two of which may be the same module."""
        defaults = {name: field.default for name, field in cls.__dataclass_fields__.items()}
        written = self.model_extra or {}
        return [name for name in options if options[name] == written[name] != defaults[name]]


def _method(kind: str) -> Any:
    """PEFT's configuration class of a method.

    Raises:
        UserError: there is none, or it cannot be trained here as its name says.
    """
    from peft.config import PromptLearningConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as CONFIGS

    known = {str(name.value): cls for name, cls in CONFIGS.items()}
    cls: Any = known.get(kind.upper())
    if cls is None:
        raise UserError(f"peft.type: PEFT has no method '{kind}'. {did_you_mean(kind.upper(), known)}")
    if kind.upper() in _TAKEN_ELSEWHERE:
        raise UserError(f"peft.type {kind}: {_TAKEN_ELSEWHERE[kind.upper()]}.")
    if issubclass(cls, PromptLearningConfig) or kind.upper() == "ADAPTION_PROMPT":
        raise UserError(
            f"peft.type: {kind} trains virtual tokens, which in PEFT shift the labels or the pooled token of "
            "some families. Use prompt_tuning, prefix_tuning or p_tuning_v2."
        )
    if "modules_to_save" not in cls.__dataclass_fields__:
        raise UserError(f"peft.type: {kind} leaves the head as it was drawn, as PEFT trains none with it. Use LORA.")
    return cls
