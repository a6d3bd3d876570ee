"""One number for a text or a pair of texts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tunebench.objectives._text import TextObjective
from tunebench.objectives.base import Features


class Regression(TextObjective):
    """One linear output; mean squared error, on the scale of the labels."""

    name = "regression"
    pipeline = "text-classification"

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """One output."""
        return {"num_labels": 1, "id2label": {0: "score"}, "label2id": {"score": 0}, "problem_type": "regression"}

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Scores, (batch,)."""
        return torch.tensor([features.labels[index] for index in indices], dtype=torch.float32)

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """The output itself; there is no other score."""
        return outputs.float().view(-1).tolist(), [None] * len(indices)
