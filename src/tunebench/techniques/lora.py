"""LoRA: trainable low-rank updates beside frozen weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from tunebench.errors import UserError, did_you_mean
from tunebench.families.base import Family
from tunebench.techniques.base import Trained

if TYPE_CHECKING:
    from torch import nn

_ROLES = ("query", "key", "value", "output")


class Lora(Trained):
    """W + (alpha / rank) B A with A (rank, in), B (out, rank), B zero at the start; W frozen, the head trains.

    Hu et al. 2021, section 4.1; PEFT's implementation. Parameters a target: rank x (in + out).
    """

    name = "lora"
    title = "LoRA"
    paper = "Hu et al. 2021, LoRA, https://arxiv.org/abs/2106.09685"

    rank: int = Field(8, ge=1, description="rank of the update; Hu et al. 2021, table 9")
    alpha: float = Field(
        16, gt=0, description="scale of the update is alpha / rank; twice the rank, as Hu et al. 2021 for GPT-2"
    )
    dropout: float = Field(0.05, ge=0, lt=1, description="fraction of inputs to A that is dropped")
    targets: tuple[str, ...] = Field(
        ("query", "value"), min_length=1, description="attention projections; Hu et al. 2021, 7.1"
    )
    learning_rate: float = Field(5e-4, gt=0, le=1, description="Hu et al. 2021, table 9, RoBERTa-base: 4e-4 to 5e-4")

    @field_validator("targets")
    @classmethod
    def _known_roles(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if target not in _ROLES:
                raise ValueError(f"lora has no target '{target}'. {did_you_mean(target, _ROLES)}")
        return targets

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import LoraConfig, PeftType, get_peft_model

        names = family.attention_projections(model)
        absent = [role for role in self.targets if role not in names]
        if absent:
            raise UserError(
                f"lora.targets: this model has no '{absent[0]}' projection. Choose from: {', '.join(names)}."
            )
        # get_peft_model fills the configuration in place, so each application builds its own.
        config = LoraConfig(
            peft_type=PeftType.LORA,
            task_type=None,  # a task type would only choose a wrapper class; the head is named below
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules=[names[role] for role in self.targets],
            modules_to_save=family.head_names(model),
        )
        with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 for a name it renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            return get_peft_model(model, config)

    def save_adapter(self, model: nn.Module, folder: Path) -> bool:
        """PEFT's own folder: `PeftModel.from_pretrained(base, folder)` loads it, head included."""
        model.save_pretrained(str(folder))  # type: ignore[operator]
        return True
