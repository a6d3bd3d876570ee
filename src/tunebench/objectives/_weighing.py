"""Losses in which rare classes and hard examples may count more, shared by the objectives that classify."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunebench.objectives.base import IGNORED, Objective

_LEAST = 1e-7  # of 1 - p: a power below 1 has no slope at 0


class WeighingObjective(Objective):
    """With the weight w of its class and the probability p of the right answer, a term counts w (1 - p)^gamma."""

    class_weights: Any = None
    focal_gamma: float = 0.0
    weights: Tensor | None = None
    """One for each label, once `weigh` has set them."""

    def weigh(self, train: Sequence[Any]) -> None:
        """Take the weights from the task and, where they are balanced, from the training examples."""
        weights = self.task.weights(train, self.labels)
        self.weights = None if weights is None else torch.tensor(weights)

    @property
    def weighed(self) -> dict[str, float]:
        """Label -> its weight; empty if all count the same."""
        return {} if self.weights is None else dict(zip(self.labels, self.weights.tolist(), strict=True))

    @property
    def described(self) -> dict[str, Any]:
        """The weights, where classes are weighed."""
        return {"class_weights": self.weighed} if self.weighed else {}

    def loss(self, network: Any, batch: dict[str, Tensor]) -> Tensor:
        """The model's own, unless classes or examples are weighed."""
        if self.weights is None and not self.focal_gamma:
            return super().loss(network, batch)
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        return self.loss_of(network(**inputs).logits.float(), batch["labels"])

    @abstractmethod
    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, as the mean of its weighed terms."""

    def _focused(self, losses: Tensor) -> Tensor:
        """Cross entropies times (1 - p)^gamma."""
        return losses * (-torch.expm1(-losses)).clamp(min=_LEAST) ** self.focal_gamma if self.focal_gamma else losses


class WeighingOneClass(WeighingObjective):
    """One class per term; the mean divides by the sum of the weights, as torch's own weighted cross entropy."""

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """From (..., classes) and class indices (...), some of which are ignored."""
        logits, labels = logits.flatten(0, -2), labels.flatten()
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=IGNORED)
        counts = self._counts(labels)
        return (self._focused(losses) * counts).sum() / counts.sum()

    def loss_terms(self, labels: Tensor) -> float:
        """The sum of the weights of a batch's terms, or how many there are."""
        return super().loss_terms(labels) if self.weights is None else float(self._counts(labels).sum())

    def _counts(self, labels: Tensor) -> Tensor:
        """What each term counts, 0 where it is ignored."""
        kept = (labels != IGNORED).float()
        return kept if self.weights is None else kept * self.weights.to(labels.device)[labels.clamp(min=0)]


class WeighingSeveralClasses(WeighingObjective):
    """A yes or no per text and label; a weight is that of yes, as `pos_weight` of torch's binary cross entropy."""

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """From (texts, labels) and 0 or 1 for each."""
        losses = self._focused(functional.binary_cross_entropy_with_logits(logits, labels, reduction="none"))
        return (losses if self.weights is None else losses * torch.where(labels > 0, self.weights.to(labels), 1)).mean()
