"""Span corruption, and spans to be copied from the text (after Glass et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench.engine.spans import MEAN_SPAN, segments
from tunebench.zoo.pretraining.objectives.base import Part, Passage
from tunebench.zoo.pretraining.objectives.span_corruption import SpanCorruption, sentinels_and_end

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

ASKED = 0.25  # of the texts
TOKENS_A_QUERY = 32  # of the sequence: so many tokens of it for each query
CUES = 5  # tokens of a query beside its gap, on average


class SpanSelection(SpanCorruption):
    """T5: most texts as in span corruption; before the others stand queries whose answers the text holds.

    A query is a stretch of the text with a sentinel for one span and up to half of the tokens around it left out; the
    text itself stays whole: `c <extra_id_0> f a <extra_id_1> a b c d e f </s>`, target
    `<extra_id_0> d e <extra_id_1> b </s>`.
    Span corruption alone teaches a small model to guess; this teaches it to look the answer up, which question
    answering and summaries need. Glass et al. ask about one text with a sentence of another one; here both are one.
    """

    name = "span_selection"
    title = "Span corruption and span selection"
    paper = "Raffel et al. 2020, arXiv:1910.10683; after Glass et al. 2020, arXiv:1909.04120"
    shortest = TOKENS_A_QUERY

    def begin(self, model: Any, texts: Tensor) -> None:
        """Graft heads that copy: without them a small model does not come to look anything up."""
        from tunebench.zoo.pretraining.objectives._copying import graft

        super().begin(model, texts)
        graft(model, texts)

    def batch(
        self, texts: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """input_ids and labels of span corruption, query_input_ids and query_labels of the rest; (batch, tokens)."""
        import torch

        corrupted = len(texts) - int(ASKED * len(texts))
        batch = super().batch(texts[:corrupted], tokenizer, rng)
        length = batch["input_ids"].shape[1]
        first, end = sentinels_and_end(tokenizer)
        rows = [ask(text.tokens, length, rng, first, end) for text in texts[corrupted:]]
        if rows:
            inputs, targets = (torch.from_numpy(np.stack(side)) for side in zip(*rows, strict=True))
            batch |= {"query_input_ids": inputs, "query_labels": targets}
        return batch

    def loss(self, model: Any, batch: dict[str, Tensor]) -> dict[str, Part]:
        """Spans to guess, and spans to find."""
        parts = super().loss(model, batch)
        if "query_labels" in batch:
            parts["selected"] = self.spans(model, batch["query_input_ids"], batch["query_labels"])
        return parts


def ask(
    tokens: np.ndarray, length: int, rng: np.random.Generator, first_sentinel: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's input of `length` tokens, and the decoder's target; their lengths depend on nothing else."""
    count = max(1, length // TOKENS_A_QUERY)
    answers, cues = segments(round(MEAN_SPAN * count), count, rng), segments(CUES * count, count, rng)
    text = tokens[: length - 1 - CUES * count - count]
    queries, target = [], []
    for index, (answer, kept) in enumerate(zip(answers, cues, strict=True)):
        start = int(rng.integers(len(text) - answer + 1))
        stop = start + int(answer)
        beside = np.stack([np.arange(start - 1, start - 1 - len(text), -1), np.arange(stop, stop + len(text))], axis=1)
        near = beside[(beside >= 0) & (beside < len(text))][: kept + int(rng.integers(kept + 1))]  # nearest first
        chosen = np.sort(rng.choice(near, kept, replace=False))
        sentinel = [first_sentinel - index]
        queries += [text[chosen[chosen < start]], sentinel, text[chosen[chosen >= stop]]]
        target += [sentinel, text[start:stop]]
    return np.concatenate([*queries, text, [end]]), np.concatenate([*target, [end]])
