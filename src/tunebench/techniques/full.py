"""Standard fine-tuning: every weight trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques.base import Trained, train

if TYPE_CHECKING:
    from torch import nn


class Full(Trained):
    """All weights of backbone and head train (Devlin et al. 2019, section 4 and appendix A.3)."""

    name = "full"
    title = "Full fine-tuning"
    paper = "Devlin et al. 2019, BERT, https://aclanthology.org/N19-1423"

    learning_rate: float = Field(5e-5, gt=0, le=1, description="highest of Devlin et al. 2019, A.3: 2e-5, 3e-5, 5e-5")

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """Everything trains."""
        train([model])
        return model
