"""Encoding of one text or a pair of texts, shared by classification and regression."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tunebench.objectives.base import Features, Objective
from tunebench.tasks.examples import Example, TextExample


class TextObjective(Objective):
    """A text, or a pair of texts, with one answer."""

    pooled = True

    def loss_terms(self, labels: Tensor) -> float:
        """One for each text: every number is a score, also the one by which other objectives mark what is ignored."""
        return len(labels)

    def encode(self, examples: Sequence[Example]) -> Features:
        """Texts to token ids; a pair is cut from its longer text first."""
        rows = [example for example in examples if isinstance(example, TextExample)]
        assert len(rows) == len(examples), "this objective takes TextExample"
        texts: list[Any] = [[row.text for row in rows]]
        if any(row.pair is not None for row in rows):
            texts.append([row.pair or "" for row in rows])
        encoded = self._tokenize(*texts)
        full = [len(ids) >= self.max_tokens for ids in encoded["input_ids"]]
        cut = 0
        if any(full):  # only an input that fills the limit can have been cut
            candidates = [[text for text, is_full in zip(side, full, strict=True) if is_full] for side in texts]
            cut = self._count_cut(*candidates)
        return Features(self.rows_of(encoded), [row.label for row in rows], {"texts": cut} if cut else {})


def class_head(labels: Sequence[str], problem_type: str) -> dict[str, Any]:
    """Configuration fields of a head with one output per label; transformers chooses the loss by `problem_type`."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": problem_type,
    }
