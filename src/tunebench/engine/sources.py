"""Sources of a network's batches: token ids, or the outputs of the frozen stages below it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tunebench.objectives.base import Features, Objective

Batch = dict[str, Tensor]


class Source(Protocol):
    """The batches of a split."""

    features: Features

    def batch(self, indices: Sequence[int]) -> Batch:
        """Inputs of the network, with `labels`."""
        ...


class TokenSource:
    """Batches of token ids, for a network without a frozen trunk."""

    def __init__(self, objective: Objective, features: Features, device: torch.device):
        self.objective, self.features, self.device = objective, features, device

    def batch(self, indices: Sequence[int]) -> Batch:
        """The collated batch, on the device."""
        return {name: tensor.to(self.device) for name, tensor in self.objective.collate(self.features, indices).items()}


class ComputedSource:
    """Batches whose trunk is computed each time: it exceeds the cache's budget, or only embeddings are frozen."""

    def __init__(self, tokens: TokenSource, trunk: Callable[[Batch], Tensor], one_vector: bool):
        self.features, self._tokens, self._trunk, self._one_vector = tokens.features, tokens, trunk, one_vector

    def batch(self, indices: Sequence[int]) -> Batch:
        """States (batch, tokens, hidden) with their mask."""
        inputs = self._tokens.batch(indices)
        labels = inputs.pop("labels")
        batch = {"inputs_embeds": self._trunk(inputs), "labels": labels}
        return batch if self._one_vector else {**batch, "attention_mask": inputs["attention_mask"]}


class CachedSource:
    """Batches gathered from kept states.

    Args:
        states: (all tokens, hidden); may be memory-mapped.
    """

    def __init__(self, objective: Objective, features: Features, device: torch.device, states: Tensor):
        self.features, self._objective, self._device, self._states = features, objective, device, states
        self._ends = torch.tensor(features.lengths).cumsum(0).tolist()

    def batch(self, indices: Sequence[int]) -> Batch:
        """States (batch, tokens, hidden) with their mask."""
        lengths = self.features.lengths_of(indices)
        rows = [self._states[self._ends[i] - n : self._ends[i]] for i, n in zip(indices, lengths, strict=True)]
        states = pad_sequence(rows, batch_first=True)
        mask = (torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]).long()
        labels = self._objective.collate_labels(self.features, indices, states.shape[1])
        batch = {"inputs_embeds": states, "attention_mask": mask, "labels": labels}
        return {name: tensor.to(self._device) for name, tensor in batch.items()}


class CachedVectorSource:
    """Batches gathered from one kept vector per text.

    Args:
        states: (examples, hidden); may be memory-mapped.
    """

    def __init__(self, objective: Objective, features: Features, device: torch.device, states: Tensor):
        self.features, self._device, self._states = features, device, states
        self._labels = objective.collate_labels(features, range(len(features)), 1)

    def batch(self, indices: Sequence[int]) -> Batch:
        """States (batch, 1, hidden)."""
        rows = torch.tensor(indices)
        states, labels = (kept.index_select(0, rows).to(self._device) for kept in (self._states, self._labels))
        return {"inputs_embeds": states.unsqueeze(1), "labels": labels}
