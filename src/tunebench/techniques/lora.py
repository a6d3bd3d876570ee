"""LoRA: trainable low-rank updates beside frozen weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from tunebench.families.base import Family
from tunebench.techniques import _peft
from tunebench.techniques.base import Trained

if TYPE_CHECKING:
    from torch import nn


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
        ("query", "value"), min_length=1, description="query, key, value, output, mlp_in, mlp_out; Hu et al. 2021, 7.1"
    )
    learning_rate: float = Field(5e-4, gt=0, le=1, description="Hu et al. 2021, table 9, RoBERTa-base: 4e-4 to 5e-4")

    @field_validator("targets")
    @classmethod
    def _known_roles(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        return _peft.known_roles("lora", targets)

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import LoraConfig, PeftType

        names = _peft.modules_of(model, family, self.targets, "lora")
        # get_peft_model fills the configuration in place, so each application builds its own.
        config = LoraConfig(
            peft_type=PeftType.LORA,
            task_type=None,  # a task type would only choose a wrapper class; the head is named below
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules=names,
            fan_in_fan_out=_peft.is_transposed(model, names),
            modules_to_save=family.head_names(model),
        )
        return _peft.wrapped(model, config)

    def save_adapter(self, model: nn.Module, folder: Path) -> bool:
        """PEFT's own folder: `PeftModel.from_pretrained(base, folder)` loads it, head included."""
        _peft.save(model, folder)
        return True
