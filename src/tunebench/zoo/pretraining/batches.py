"""Which text is read at which step: a function of (seed, length, step), never of what ran before."""

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from tunebench.zoo.pretraining.corpus import Corpus
from tunebench.zoo.pretraining.objectives.base import Passage, PretrainingObjective
from tunebench.zoo.pretraining.recipe import Pretraining

_ORDER, _OFFSET, _NOISE, _HELD_OUT = range(4)
_MOST_READERS = 8


@dataclass(frozen=True)
class Steps(Dataset[dict[str, Tensor]]):
    """The batch of each training step of a recipe, by its number."""

    corpus: Corpus
    objective: PretrainingObjective
    tokenizer: PreTrainedTokenizerBase
    training: Pretraining
    plan: list[tuple[int, int]]

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        which, number = self.plan[step]
        sequences = self.training.sequences[which]
        place = (self.training.seed, which, number)
        return batch_at(
            self.corpus, self.objective, self.tokenizer, sequences.length, self.training.rows(sequences), place
        )

    def after(self, step: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """The batches from this step to the last.

        A GPU does not wait for them: other processes make them ahead. On a processor that would only take cores from
        the training.
        """
        readers = min(_MOST_READERS, cpu_count() - 1) if device.type == "cuda" else 0
        ahead: dict[str, Any] = {"pin_memory": True, "prefetch_factor": 4, "worker_init_fn": _alone} if readers else {}
        return iter(DataLoader(self, None, sampler=range(step, len(self.plan)), num_workers=readers, **ahead))


def _alone(reader: int) -> None:
    """One thread a reader; else the tokenizers library warns that it was forked."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def batch_at(
    corpus: Corpus,
    objective: PretrainingObjective,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    rows: int,
    place: tuple[int, int, int],
) -> dict[str, Tensor]:
    """The batch of a training step.

    Each pass over the corpus cuts it anew at a random offset into windows and takes them in a random order.

    Args:
        corpus: the training texts.
        objective: what makes inputs of texts.
        tokenizer: the recipe's.
        length: tokens a sequence.
        rows: sequences.
        place: (seed, which of the recipe's sequences, how many steps of theirs went before).
    """
    seed, which, step = place
    size = objective.window(length)
    # The last window may be cut short by the offset: it is left out of a pass.
    count = max(1, corpus.windows(size) - 1)
    texts = []
    for index in range(step * rows, (step + 1) * rows):
        around, at = divmod(index, count)
        order, offset = _pass(seed, which, around, count, min(size, len(corpus.tokens) - count * size + 1))
        texts.append(corpus.text(offset + int(order[at]) * size, size))
    return objective.batch(texts, tokenizer, np.random.default_rng([seed, _NOISE, which, step]))


@functools.lru_cache(maxsize=8)
def _pass(seed: int, which: int, around: int, count: int, offsets: int) -> tuple[np.ndarray, int]:
    order = np.random.default_rng([seed, _ORDER, which, around]).permutation(count)
    return order, int(np.random.default_rng([seed, _OFFSET, which, around]).integers(offsets))


def held_out_batches(
    corpus: Corpus,
    objective: PretrainingObjective,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    rows: int,
    tokens: int,
) -> list[dict[str, Tensor]]:
    """About so many tokens of the held-out texts, evenly spread over them; the same whatever the training's seed."""
    texts = spread_texts(corpus, objective, length, tokens)
    return [
        objective.batch(texts[at : at + rows], tokenizer, np.random.default_rng([_HELD_OUT, at]))
        for at in range(0, len(texts), rows)
    ]


def spread_texts(corpus: Corpus, objective: PretrainingObjective, length: int, tokens: int) -> list[Passage]:
    """Windows of about so many tokens together, evenly spread over the texts."""
    size = objective.window(length)
    windows = corpus.windows(size)
    chosen = np.unique(np.linspace(0, windows - 1, min(windows, max(1, tokens // length))).astype(int))
    return [corpus.text(int(index) * size, size) for index in chosen]
