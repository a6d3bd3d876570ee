"""How long and in what way the techniques of an experiment train."""

from typing import Literal

from pydantic import Field

from tunebench._util.base import Strict
from tunebench.engine.schedule import Schedule


class Training(Strict):
    """The budget, the same for every technique of an experiment; the learning rate is the technique's own."""

    epochs: int = Field(default=5, ge=1, description="at most so many passes over the training split")
    batch_size: int = Field(default=16, ge=1, description="examples per optimizer step")
    micro_batch_size: int | None = Field(
        default=None, ge=1, description="examples at once in memory; gradients accumulate; null: all of a batch"
    )
    patience: int = Field(default=3, ge=1, description="stop after so many epochs without a better validation score")
    warmup_fraction: float = Field(
        default=0.06, ge=0, lt=1, description="share of all steps with a rising learning rate"
    )
    schedule: Schedule = Field(
        default="linear",
        description="learning rate after the warm-up: down to zero at the end, or as Vaswani et al. 2017, 5.3",
    )
    weight_decay: float = Field(
        default=0.01, ge=0, description="AdamW, on matrices and embeddings; not on biases, norms and factors"
    )
    max_gradient_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "bf16", "float32"] = Field(
        default="auto", description="auto: bf16 where the hardware is fast at it"
    )
    evaluation_batch_tokens: int = Field(default=4096, ge=1, description="padded tokens per batch where nothing trains")
    validation_rows: int | None = Field(
        default=None,
        ge=1,
        description="epochs are compared on so many validation examples, drawn with seed 0; null: on all",
    )
    validation_beams: int | None = Field(
        default=1, ge=1, description="epochs are compared by answers of so many beams; null: the task's"
    )
    cache_gigabytes: float = Field(
        default=4.0, ge=0, description="budget for kept outputs of frozen stages; 0 keeps none"
    )
    checkpoint_seconds: float = Field(default=60.0, ge=0, description="time between checkpoints to resume from")
