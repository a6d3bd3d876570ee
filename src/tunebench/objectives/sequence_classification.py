"""One class for a text or a pair of texts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tunebench.objectives._text import TextObjective, class_head
from tunebench.objectives._weighing import WeighingOneClass
from tunebench.objectives.base import Features


class SequenceClassification(WeighingOneClass, TextObjective):
    """A softmax over classes; cross entropy."""

    name = "sequence_classification"
    pipeline = "text-classification"

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """One output per class."""
        return class_head(labels, "single_label_classification")

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """Class indices, (batch,)."""
        return torch.tensor([features.labels[index] for index in indices], dtype=torch.long)

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """The most probable class's name, and every class's probability."""
        best = outputs.argmax(-1).tolist()
        return [self.labels[index] for index in best], outputs.double().softmax(-1).tolist()
