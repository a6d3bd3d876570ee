"""Training from scratch: the same architecture, and nothing of what was pretrained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunebench.families.base import Family
from tunebench.techniques.base import Trained, train

if TYPE_CHECKING:
    from torch import nn


class FromScratch(Trained):
    """All weights are initialised at random from the run's seed, by the architecture's own code, and all train.

    The gain of full fine-tuning over it is the value of pretraining on a task (Erhan et al. 2010). The checkpoint
    provides configuration and tokenizer; no weight is read.
    """

    name = "from_scratch"
    title = "Training from scratch"
    paper = "Erhan et al. 2010, Why Does Unsupervised Pre-training Help Deep Learning?, https://jmlr.org/papers/v11/erhan10a.html"
    reads_weights = False

    learning_rate: float = Field(
        3e-4, gt=0, le=1, description="our sweep; Vaswani et al. 2017, 5.3: 7e-4, after 4,000 steps of warm-up"
    )

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """Everything trains."""
        train([model])
        return model
