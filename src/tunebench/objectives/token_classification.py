"""One tag for each word of a sentence."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from tunebench.objectives._weighing import WeighingOneClass
from tunebench.objectives.base import IGNORED, Features
from tunebench.tasks.examples import Example
from tunebench.tasks.problems.token_classification import TokensExample

OUTSIDE = "O"


class TokenClassification(WeighingOneClass):
    """A softmax over tags at each token; cross entropy over labelled tokens.

    In the loss a word's tag labels all its sub-words or the first only (`label_subwords`). The prediction is read at
    the first sub-word. A word that the token limit cuts off is predicted O and counted.
    """

    name = "token_classification"
    pipeline = "token-classification"
    pooled = False

    label_subwords: Literal["all", "first"] = "all"

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """One output per tag."""
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
        }

    def encode(self, examples: Sequence[Example]) -> Features:
        """Words to token ids, with each token's tag and each word's first token."""
        rows = [example for example in examples if isinstance(example, TokensExample)]
        assert len(rows) == len(examples), "this objective takes TokensExample"
        encoded = self._tokenize([list(row.tokens) for row in rows], is_split_into_words=True)
        labels, words, cut_words, cut_sentences, unseen = [], [], 0, 0, 0
        for number, row in enumerate(rows):
            first: list[int | None] = [None] * len(row.tokens)
            tags, previous = [], None
            for position, word in enumerate(encoded.word_ids(number)):
                tag = IGNORED
                if word is not None:
                    starts = word != previous
                    if starts:
                        first[word] = position
                    if starts or self.label_subwords == "all":
                        tag = row.label[word]
                tags.append(tag)
                previous = word
            # A word without any sub-word (a lone control character) is unseen as well, but was not truncated.
            seen = max((word for word, position in enumerate(first) if position is not None), default=-1)
            cut = len(row.tokens) - 1 - seen if len(tags) >= self.max_tokens else 0
            unseen += first.count(None) - cut if seen >= 0 else 0
            cut_words += cut
            cut_sentences += cut > 0
            labels.append(tags)
            words.append(first)
        truncated = {"words": cut_words, "sentences": cut_sentences} if cut_words else {}
        return Features(self.rows_of(encoded), labels, truncated, words, unseen_words=unseen)

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Tag indices, (batch, tokens), ignored at padding and special tokens."""
        padded = np.full((len(indices), width), IGNORED, dtype=np.int64)
        for row, index in zip(padded, indices, strict=True):
            tags = features.labels[index]
            row[: len(tags)] = tags
        return torch.from_numpy(padded)

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """Tag names of all words, and the probability of each word's tag (None for a word that was cut off)."""
        best = outputs.argmax(-1).tolist()
        probability = outputs.double().softmax(-1).max(-1).values.tolist()
        predictions, scores = [], []
        for row, index in enumerate(indices):
            first = features.words[index]
            predictions.append([OUTSIDE if at is None else self.labels[best[row][at]] for at in first])
            scores.append([None if at is None else probability[row][at] for at in first])
        return predictions, scores
