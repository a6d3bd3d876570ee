"""Any number of labels for a text or a pair of texts."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from tunebench.evaluation.metrics import METRICS
from tunebench.objectives._text import TextObjective, class_head
from tunebench.objectives._weighing import WeighingSeveralClasses
from tunebench.objectives.base import Features
from tunebench.tasks.problems.multi_label_classification import labels_from

GRID = tuple(n / 20 for n in range(1, 20))
"""The thresholds that are compared on the validation split."""
UNSETTLED = 0.5
"""The threshold until the validation split has settled it."""


class MultiLabelClassification(WeighingSeveralClasses, TextObjective):
    """A sigmoid for each label; binary cross entropy, averaged over texts and labels."""

    name = "multi_label_classification"
    pipeline = "text-classification"

    threshold: float | Literal["validation"] = UNSETTLED

    @staticmethod
    def head(labels: Sequence[str]) -> dict[str, Any]:
        """One output per label."""
        return class_head(labels, "multi_label_classification")

    def collate_labels(self, features: Features, indices: Sequence[int], width: int) -> Tensor:
        """1 where a label belongs to a text, (batch, labels), float."""
        rows = torch.zeros(len(indices), len(self.labels))
        for row, index in zip(rows, indices, strict=True):
            row[list(features.labels[index])] = 1
        return rows

    def decode(self, outputs: Tensor, features: Features, indices: Sequence[int]) -> tuple[list[Any], list[Any]]:
        """The labels whose probability reaches the threshold, and every label's probability."""
        probabilities = outputs.double().sigmoid().tolist()
        threshold = UNSETTLED if self.threshold == "validation" else self.threshold
        return [labels_from(row, self.labels, threshold) for row in probabilities], probabilities

    @property
    def settles(self) -> bool:  # type: ignore[override]
        """Whether the validation split chooses the threshold."""
        return self.threshold == "validation"

    def settle(self, details: Sequence[Any], references: Sequence[Any]) -> tuple[dict[str, Any], str]:
        """Choose the best threshold for the main metric; among equal ones the closest to 0.5."""
        metric = METRICS[self.task.metrics[0]]
        sign = 1 if metric.higher_is_better else -1

        def merit(threshold: float) -> tuple[float, float]:
            answers = [labels_from(row, self.labels, threshold) for row in details]
            return sign * metric.compute(answers, references), -abs(threshold - UNSETTLED)

        chosen = self.threshold = max(GRID, key=merit)
        text = (
            f"The threshold {chosen:.2f} has the best {metric.title} on the validation split with the best epoch's "
            f"weights. Test answers use it; validation scores use {UNSETTLED}."
        )
        return {"threshold": chosen}, text

    def settled(self, summary: dict[str, Any]) -> None:
        """Answer with the threshold that the run chose."""
        if self.settles:
            self.threshold = summary["threshold"]
