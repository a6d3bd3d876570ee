"""How long and in what way the techniques of an experiment train."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tunebench._util.base import Strict
from tunebench._util.errors import UserError, did_you_mean
from tunebench.engine.schedule import Schedule
from tunebench.techniques import techniques
from tunebench.techniques.base import Trained

AUTO = "auto"


class Training(Strict):
    """The budget, the same for every technique of an experiment; the learning rate is the technique's own."""

    epochs: int = Field(default=5, ge=1, description="at most so many passes over the training split")
    batch_size: int = Field(default=16, ge=1, description="examples per optimizer step")
    micro_batch_size: int | None = Field(
        default=None, ge=1, description="examples at once in memory; gradients accumulate; null: all of a batch"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="compute activations again in the backward pass: less memory, slower steps"
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        default="auto", description="implementation of attention in transformers; auto: sdpa where a model has it"
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

    @property
    def silent(self) -> tuple[str, ...]:
        """Fields that say nothing, which older runs do not have."""
        return tuple(name for name in _YOUNGER if getattr(self, name) == type(self).model_fields[name].default)


_YOUNGER = ("gradient_checkpointing", "attention")


class AutoEpochs(Strict):
    """How `epochs: auto` is settled: each technique gets the epochs that fit into the seconds of the reference."""

    reference: str = Field(default="full", description="technique whose tuning time all others may use")
    epochs: int = Field(default=5, ge=1, description="of the reference; every technique gets at least as many")
    times: float = Field(
        default=3.0, ge=1, allow_inf_nan=False, description="a technique gets at most so many times these epochs"
    )

    @field_validator("reference")
    @classmethod
    def _trains(cls, name: str) -> str:
        known = {name for name, technique in techniques().items() if issubclass(technique, Trained)}
        if name in known:
            return name
        if name in techniques():
            raise ValueError(f"{name} trains in no epochs, so it takes no seconds of them. Name a technique that does.")
        raise ValueError(f"there is no technique '{name}'. {did_you_mean(name, known)}")

    @property
    def most(self) -> int:
        """Epochs that a technique gets at most."""
        return int(self.epochs * self.times)


class StudyTraining(Training):
    """The budget, the same for every technique of an experiment; the learning rate is the technique's own.

    Attributes:
        epochs: at most so many passes over the training split; `auto`: of each technique as many as fit into the
            seconds that full fine-tuning takes for 5, see `auto_epochs`.
        auto_epochs: what `epochs: auto` means; null: its defaults.
    """

    auto_epochs: AutoEpochs | None = None

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, content: Any) -> Any:
        """`epochs: auto` has no number before it is settled."""
        if not isinstance(content, dict):
            return content
        given = content.get("auto_epochs")
        if content.get("epochs") == AUTO:
            default = cls.model_fields["epochs"].default
            return {**content, "epochs": default, "auto_epochs": {} if given is None else given}
        if given is not None:
            raise ValueError("auto_epochs: it says what epochs: auto means. Write epochs: auto, or leave it out.")
        return content

    def changed(self, changes: Mapping[str, Any]) -> "StudyTraining":
        """With an experiment's changes.

        Raises:
            ValidationError: a change is none that a training may have.
        """
        own = self.model_dump()
        if self.auto_epochs is not None:
            own["epochs"] = AUTO
        if changes.get("epochs", AUTO) != AUTO:
            own["auto_epochs"] = None
        return StudyTraining.model_validate({**own, **changes})

    def of_run(self, epochs: int | None = None) -> Training:
        """As a run has it, with the technique's own number of epochs where it has one.

        Raises:
            UserError: the number is not settled.
        """
        if self.auto_epochs is not None:
            raise UserError("training.epochs: auto: no number is settled yet. Settle it: tunebench run STUDY.")
        own = {} if epochs is None else {"epochs": epochs}
        return Training.model_validate({**self.model_dump(exclude={"auto_epochs"}), **own})
