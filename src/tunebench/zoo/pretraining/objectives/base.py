"""What a pretraining objective knows: its tokenizer, its model, how text becomes a batch, and the loss.

torch, transformers and tokenizers are imported where they are used: reading a recipe must not wait for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from tunebench._util.base import Strict

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Shape(Strict):
    """The size of a backbone."""

    hidden: int = Field(ge=1)
    layers: int = Field(ge=1, description="of the encoder, and again of the decoder where there is one")
    heads: int = Field(ge=1)
    intermediate: int = Field(ge=1)
    vocabulary: int = Field(ge=256, le=65_536)
    positions: int = Field(512, ge=8, description="the longest text in tokens, where positions are learned")

    @model_validator(mode="after")
    def _heads_divide(self) -> Shape:
        if self.hidden % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a hidden size of {self.hidden}.")
        return self


@dataclass(frozen=True)
class Passage:
    """A stretch of the corpus.

    Attributes:
        tokens: ids, int64, without special tokens.
        ends: positions in `tokens` after which another document begins.
    """

    tokens: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Part:
    """One part of a loss: `total` is summed over `count` predictions; the loss is the sum of the parts' means."""

    total: Tensor
    count: int


class PretrainingObjective(ABC):
    """One way to learn from plain text. Stateless; its name is its file's name."""

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]
    paper: ClassVar[str]
    shortest: ClassVar[int] = 8  # tokens a sequence must have

    @abstractmethod
    def train_tokenizer(self, texts: Callable[[], Iterable[str]], vocabulary: int) -> PreTrainedTokenizerBase:
        """A tokenizer with `vocabulary` entries, learned from the texts, which may be read several times.

        The same texts give the same tokenizer.
        """

    def separator(self, tokenizer: PreTrainedTokenizerBase) -> int | None:
        """The id that ends each document where documents are packed, if the family has one."""
        return None

    @abstractmethod
    def new_model(self, shape: Shape, tokenizer: Any) -> PreTrainedModel:
        """The model with random weights, drawn from torch's current seed."""

    def begin(self, model: Any, texts: Tensor) -> None:
        """What is done to a model that is gone on from, before the first step; nothing, for most.

        Args:
            model: in float32.
            texts: some of the training texts' token ids, (texts, tokens).
        """
        return

    @abstractmethod
    def window(self, length: int) -> int:
        """How many tokens of text make one sequence of `length` tokens."""

    @abstractmethod
    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """The model's inputs and labels; a function of its arguments, `rng`'s state included."""

    @abstractmethod
    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """The parts of the loss, the main one (whose exponential is the perplexity) first."""
