"""A technique is its configuration: typed fields with range, unit and default, and `apply`, which says what trains.

The engine derives the rest from what trains: the frozen depth, the parameter counts, what to save.
peft and scikit-learn are imported where they are used: reading a study must not wait for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from tunebench._util.base import Strict
from tunebench._util.errors import UserError
from tunebench._util.ranges import Range, Worth, resolved
from tunebench.families.base import AttentionKind, Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


class Entry(Strict, ABC):
    """An entry in a study's list of techniques: a `Technique` or a `Baseline`. Its name is its file's name."""

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    reads_model: ClassVar[bool] = True
    """Whether it takes the study's model, else it learns from the examples alone."""
    reads_weights: ClassVar[bool] = True
    """Whether it begins with the checkpoint's weights, else with random ones drawn from the run's seed."""
    version: ClassVar[int] = 1
    """Raised when the same settings give other figures, so that earlier runs are made again."""

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """Why the technique has no meaning for a family or objective; None where it has one."""
        return None

    @classmethod
    def worth_searching(cls) -> dict[str, Worth]:
        """The settings that a search varies unless the study says otherwise, each with its values and their source."""
        declared = {
            name: [one for base in cls.__mro__ if issubclass(base, Entry) for one in _worth(base, name)]
            for name in cls.model_fields
        }
        return {name: found[0] for name, found in declared.items() if found}

    def space(self, objective: str, layers: int | None) -> dict[str, Range]:
        """What a search draws each of its settings from.

        Args:
            objective: how the task is posed.
            layers: of the model's only stack; None where it has two, or none.
        """
        ranges = {
            name: resolved(worth, getattr(self, name), objective, layers)
            for name, worth in self.worth_searching().items()
        }
        return {name: one for name, one in ranges.items() if one is not None}


def _worth(cls: type[Entry], name: str) -> list[Worth]:
    field = cls.model_fields.get(name)
    return [one for one in field.metadata if isinstance(one, Worth)] if field else []


@dataclass(frozen=True)
class Virtual:
    """Virtual tokens in an attention map.

    Attributes:
        name: prefix or prompt.
        count: how many.
        before: whether they precede the text, or follow it.
        query: whether they also attend, or are only attended to.
    """

    name: str
    count: int
    before: bool = True
    query: bool = False


@dataclass(frozen=True)
class LowRankUpdate:
    """What is added to a linear module's output: scale x (input down^T) up^T.

    Attributes:
        weight: the module's own, which is frozen.
        down: (rank, in).
        up: (out, rank).
        scale: a factor.
    """

    weight: Tensor
    down: Tensor
    up: Tensor
    scale: float


class Technique(Entry):
    """Prepares a pretrained model."""

    @abstractmethod
    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """The model to train, with `requires_grad` set on what trains. May wrap the given model, never copies it.

        Args:
            model: pretrained, with a fresh head.
            family: knows the model's stages, head and projections.
            total_steps: optimizer steps of the whole run, for techniques with a schedule.
        """

    def positions_taken(self, family: Family) -> int:
        """How many of the model's positions the technique uses up, so that texts must be shorter."""
        return 0

    def virtual_tokens(self, model: nn.Module, family: Family, kind: AttentionKind) -> Virtual | None:
        """The virtual tokens that the technique adds to attention of this kind, if any."""
        return None

    def fold(self, model: nn.Module) -> bool:
        """After training: drop what only training needed. Says whether the weights to keep are others now."""
        return False

    def save_adapter(self, model: nn.Module, family: Family, folder: Path) -> bool:
        """Write the adapter for other libraries, where one can read it; says whether it did."""
        return False

    def updates(self, model: nn.Module) -> dict[str, LowRankUpdate]:
        """Its low-rank updates by the names of modules in the untuned model; none where it does anything else."""
        return {}

    def merges(self, model: nn.Module) -> bool:
        """Whether `merged` multiplies what was added into the weights, so that answers take no longer than before."""
        return False

    def merged(self, model: nn.Module) -> nn.Module:
        """An ordinary transformers model with the same answers.

        Raises:
            UserError: the technique adds something that no weight of the model can hold.
        """
        return model


_RATE = Worth("on MiniLM the best of four rates was three times the default", around=10, most=1)


class Trained(Technique):
    """Adapts a pretrained model by gradient descent; a run in which nothing trains fails."""

    learning_rate: Annotated[float, _RATE] = Field(gt=0, le=1, description="peak learning rate of AdamW")

    def parameter_groups(self, model: nn.Module, family: Family, weight_decay: float) -> list[dict[str, Any]]:
        """Optimizer groups: `params`, `lr` and `weight_decay`; see `decay_groups`."""
        return decay_groups([p for p in model.parameters() if p.requires_grad], self.learning_rate, weight_decay)

    def penalty(self, model: nn.Module) -> Tensor | None:
        """What is added to each batch's loss, if anything."""
        return None

    def may_be_best(self, model: nn.Module) -> bool:
        """Whether an epoch that ends with these weights may be the one that is kept."""
        return True

    def after_step(self, model: nn.Module, step: int) -> None:
        """What follows optimizer step `step` (the first is 0), while its gradients are still there."""

    def extra_state(self, model: nn.Module) -> dict[str, Tensor]:
        """What a checkpoint must hold besides trainable weights and optimizer."""
        return {}

    def summary(self, model: nn.Module) -> dict[str, Any]:
        """What else a result should say about the tuned model, as JSON."""
        return {}

    def load_extra_state(self, model: nn.Module, state: dict[str, Tensor]) -> None:
        """Go on from `extra_state`."""


class PretrainedModel(Protocol):
    """A pretrained model as a baseline asks it; it stays as it is."""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """A vector of length 1 for each text, (texts, hidden), float32."""
        ...

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str], cue: str) -> np.ndarray:
        """Log-likelihood of each answer after each prompt, (prompts, answers), float32; of a language model.

        `cue` stands between prompt and answer where one stack reads both, not where an encoder reads the prompt.
        """
        ...


@dataclass(frozen=True)
class Question:
    """What a baseline answers.

    Attributes:
        task: what is asked, and what counts as a good answer.
        labels: class or tag names in the order of their indices.
        model: what it may ask; None unless it `reads_model`.
    """

    task: Task
    labels: Sequence[str]
    model: PretrainedModel | None = None


STAY = "Answer with 'tunebench predict'."
"""The way out where a baseline cannot be exported."""


class Baseline(Entry):
    """Tunes no model: learns from the examples alone, or from what a pretrained model says of them (`reads_model`)."""

    reads_model = reads_weights = False
    weighs: ClassVar[tuple[str, ...]] = ()
    """Forms of answers whose classes it weighs as the task's `class_weights` say."""

    def not_answerable(self, task: Task) -> str | None:
        """Why it has no answer to a task of an objective that it applies to; None where it has one."""
        return None

    @abstractmethod
    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """A predictor learned from the training examples; the validation examples may choose its settings."""

    @abstractmethod
    def load(self, folder: Path, question: Question) -> Predictor:
        """The predictor that `Predictor.save` wrote."""

    def standalone(self, task: Task) -> dict[str, Any]:
        """How `_standalone.py` answers with its files: `kind`, `numbers` (a file) and the settings of this kind.

        Raises:
            UserError: it cannot be exported.
        """
        raise UserError(f"{self.name} does not say how it answers without tunebench. {STAY}")


class Predictor(ABC):
    """A fitted baseline."""

    parameters: int
    """How many numbers it learned."""

    @property
    def summary(self) -> dict[str, Any]:
        """What a result should say of how it was fitted, as JSON."""
        return {}

    @abstractmethod
    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """Predictions in task space (class index, score or tag indices), and a score for each (None if it has none)."""

    @abstractmethod
    def save(self, folder: Path) -> list[Path]:
        """Write it as safetensors and JSON; returns the files."""


def freeze(model: nn.Module) -> None:
    """Let nothing train."""
    for parameter in model.parameters():
        parameter.requires_grad = False


def train(modules: Sequence[nn.Module]) -> None:
    """Let all parameters of these modules train."""
    for module in modules:
        for parameter in module.parameters():
            parameter.requires_grad = True


def decay_groups(
    parameters: Sequence[nn.Parameter],
    learning_rate: float,
    weight_decay: float,
    vectors: Sequence[nn.Parameter] = (),
) -> list[dict[str, Any]]:
    """Two optimizer groups: matrices and embeddings with weight decay, vectors without (Devlin et al. 2019).

    Vectors shift, normalise or rescale: biases, norms, factors, diagonals. Those that are stored with more than one
    dimension are named in `vectors`: their shape does not tell, as a head with one output is a matrix of one row.
    """
    whole = {id(p) for p in vectors} | {id(p) for p in parameters if p.ndim < 2}
    groups = [
        {"params": [p for p in parameters if id(p) not in whole], "lr": learning_rate, "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in whole], "lr": learning_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
