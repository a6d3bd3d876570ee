"""An objective encodes examples to features, collates features to batches, and decodes logits to predictions."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example

IGNORED = -100  # the label that torch's cross entropy ignores


_PER_EXAMPLE = ("inputs", "labels", "words", "prompts")


@dataclass(frozen=True)
class Features:
    """Encoded examples, in the examples' order.

    Attributes:
        inputs: the tokenizer's output, one dict of unpadded lists per example.
        labels: one per example; `collate` turns them into the batch's `labels`.
        truncated: counts of truncated inputs and answers by kind, for the result.
        words: for tagging, the position of each word's first sub-word; None where the word was cut off.
        prompts: for generation by a decoder, the prompts' token ids.
        windows: for long contexts, the window that each feature covers.
        unseen_words: for tagging, words of which the tokenizer keeps nothing, in sentences of which it keeps something.
    """

    inputs: list[dict[str, list[int]]]
    labels: list[Any]
    truncated: dict[str, int]
    words: list[list[int | None]] = field(default_factory=list)
    prompts: list[list[int]] = field(default_factory=list)
    windows: list[Any] = field(default_factory=list)
    unseen_words: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    @functools.cached_property
    def lengths(self) -> list[int]:
        """Number of tokens of each example."""
        return [len(row["input_ids"]) for row in self.inputs]

    def without(self, left_out: Collection[int]) -> "Features":
        """The features but these; of those that belong to one example each."""
        assert not self.windows, "windows belong together"
        kept = [index for index in range(len(self)) if index not in left_out]
        lists = {name: [values[index] for index in kept] for name in _PER_EXAMPLE if (values := getattr(self, name))}
        return replace(self, **lists)

    @classmethod
    def of_rows(cls, rows: "Sequence[tuple[Features, int]]") -> "Features":
        """The features of rows that were encoded apart, without their counts."""

        def of_each(name: str) -> list[Any]:
            given = [(getattr(features, name), index) for features, index in rows]
            return [values[index] for values, index in given if values]

        inputs, labels, words, prompts, windows = map(of_each, (*_PER_EXAMPLE, "windows"))
        return cls(inputs, labels, {}, words, prompts, windows)

    def lengths_of(self, indices: Sequence[int]) -> list[int]:
        """Number of tokens of these examples."""
        return [self.lengths[index] for index in indices]


class Objective(ABC):
    """One way to pose a task. Its name is its file's name.

    Args:
        task: the task to pose; its fields are the objective's settings.
        labels: class or tag names; empty without any.
        tokenizer: the backbone's.
        max_tokens: longer inputs are truncated, and counted.
    """

    name: ClassVar[str]
    pipeline: ClassVar[str | None] = None
    """The hub's name of what a model posed so does; None where it has none."""
    pooled: ClassVar[bool]
    """Whether the head reads one token only: the first of an encoder, the last of a decoder."""
    beams: int = 1
    """Width of the beam search, where answers are generated."""
    writes: bool = False
    """Whether predictions are generated token by token."""
    closed: bool = False
    """Whether a generated answer must be one of a known list, or a number."""
    reads_prompts: bool = False
    """Whether predictions need the whole model and token ids; a tail above a frozen trunk is not enough."""
    ranks: bool = False
    """Whether predictions compare the likelihoods of given answers, for which bf16 logits are too coarse."""
    settles: bool = False
    """Whether the validation split settles, with the final weights, how answers are read off the outputs."""

    def __init__(self, task: Task, labels: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, max_tokens: int):
        assert self.name in task.poses, f"{task.objective} is not posed as {self.name}"
        self.task: Any = task
        self.labels = tuple(labels)
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        for name, value in task.particular(self.name).items():
            assert hasattr(type(self), name), f"{self.name} has no setting '{name}'"
            setattr(self, name, value)

    @staticmethod
    @abstractmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """Configuration fields that give the model this objective's head and loss."""

    @abstractmethod
    def encode(self, examples: Sequence[Example]) -> "Features":
        """Examples to features."""

    @abstractmethod
    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Labels of a batch that is `width` tokens wide."""

    def outputs(self, network: Any, batch: dict[str, Tensor], features: Features, indices: Sequence[int]) -> Tensor:
        """What `decode` needs of a batch, computed on the network's device."""
        return self.reduce(network(**batch).logits, features, indices)

    def reduce(self, logits: Tensor, features: Features, indices: Sequence[int]) -> Tensor:
        """What `decode` needs of a batch's logits."""
        return logits

    def joined(self, answers: list[Any], details: list[Any], features: Features) -> tuple[list[Any], list[Any]]:
        """Predictions and details per example from those per feature; the same unless an example has several."""
        return answers, details

    @abstractmethod
    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Predictions in task space from `outputs`, and for each its details: scores or texts for the user, or None."""

    def settle(self, details: Sequence[Any], references: Sequence[Any]) -> tuple[dict[str, Any], str]:
        """Settle on the validation split what the task leaves open, where `settles`.

        Args:
            details: the second output of `decode`.
            references: the gold answers.

        Returns:
            What was settled, for the record's summary, and a sentence on it.
        """
        raise NotImplementedError(f"{self.name} settles nothing")

    def settled(self, summary: dict[str, Any]) -> None:
        """Take over what a finished run has settled, from its record's summary."""
        assert not self.settles, f"{self.name} must take over what it settled"

    def weigh(self, train: Sequence[Example]) -> None:  # noqa: B027
        """Take from the training examples what the loss needs to know of them; most losses need nothing."""

    @property
    def described(self) -> dict[str, Any]:
        """What a record's summary says of the loss, as JSON."""
        return {}

    def loss(self, network: Any, batch: dict[str, Tensor]) -> Tensor:
        """The mean of a batch's terms: the model's own."""
        return network(**batch).loss

    def loss_terms(self, labels: Tensor) -> float:
        """How many terms the loss of a batch averages over; the weight of a micro-batch."""
        return int((labels != IGNORED).sum())

    def collate(self, features: Features, indices: Sequence[int]) -> dict[str, Tensor]:
        """A batch padded on the right to its longest example: (batch, tokens) tensors, and `labels`."""
        batch = self.padded([features.inputs[index] for index in indices])
        batch["labels"] = self.collate_labels(features, indices, batch["input_ids"].shape[1])
        return batch

    def padded(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
        """Inputs padded on the right to the longest, as tensors (rows, tokens)."""
        width = max(len(row["input_ids"]) for row in rows)
        batch = {}
        for name in rows[0]:
            fill = self.tokenizer.pad_token_id if name == "input_ids" else 0
            padded = np.full((len(rows), width), fill, dtype=np.int64)
            for row, values in zip(padded, (row[name] for row in rows), strict=True):
                row[: len(values)] = values
            batch[name] = torch.from_numpy(padded)
        return batch

    def blank(self, features: Features) -> list[int]:
        """Features whose text leaves no token but special ones: it is empty, or of characters that are dropped."""
        special, most = {*self.tokenizer.all_special_ids}, self.tokenizer.num_special_tokens_to_add(pair=True) or 1
        short = [index for index, length in enumerate(features.lengths) if length <= most]
        return [index for index in short if special.issuperset(features.inputs[index]["input_ids"])]

    def unlabelled(self, features: Features, indices: Iterable[int]) -> list[int]:
        """Those of these features that add no term to the loss."""
        widths = features.lengths
        return [i for i in indices if not self.loss_terms(self.collate_labels(features, [i], widths[i]))]

    def rows_of(self, encoded: Any) -> list[dict[str, list[int]]]:
        """A tokenizer's dict of lists as a list of dicts; a text without any token is one end-of-text."""
        names = [name for name in encoded if name in ("input_ids", "attention_mask", "token_type_ids")]
        end = self.tokenizer.eos_token_id if self.tokenizer.eos_token_id is not None else self.tokenizer.pad_token_id
        nothing = {name: [{"input_ids": end, "attention_mask": 1}.get(name, 0)] for name in names}
        rows = zip(*(encoded[name] for name in names), strict=True)
        return [dict(zip(names, row, strict=True)) if row[0] else dict(nothing) for row in rows]

    def _tokenize(self, *texts: Any, **options: Any) -> Any:
        return self.tokenizer(
            *texts, truncation=True, max_length=self.max_tokens, return_attention_mask=True, **options
        )

    def _count_cut(self, *texts: Any, **options: Any) -> int:
        """How many inputs are longer than the limit."""
        encoded = self.tokenizer(*texts, truncation=False, verbose=False, return_attention_mask=False, **options)
        return sum(len(ids) > self.max_tokens for ids in encoded["input_ids"])
