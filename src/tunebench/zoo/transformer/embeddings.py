"""From tokens to states: scaled embeddings (Vaswani et al. 2017, section 3.4) and positions (3.5)."""

import math

import torch
from torch import Tensor, nn


class ScaledEmbedding(nn.Embedding):
    """sqrt(d_model) times a row of the matrix that source, target and the output before the softmax share (3.4).

    (batch, tokens) to (batch, tokens, d_model). The rows begin with variance 1 / d_model, as logits ask for; the root
    brings them to the positions' size.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Token ids to scaled rows."""
        return super().forward(input) * math.sqrt(self.embedding_dim)


def sinusoids(length: int, d_model: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i + 1) = cos(pos / 10000^(2i / d_model)) (3.5).

    Wavelengths go from 2 pi to 10,000 times that. A place's PE is a rotation of that of the place k before it, the
    same one for all places, which makes "k tokens ago" easy to learn.

    Returns:
        (length, d_model), float64.
    """
    positions = torch.arange(length, dtype=torch.float64)[:, None]
    rates = 10_000.0 ** -(torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = positions * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model]


class Positions(nn.Module):
    """The sinusoids that are added to an embedded text. They are not learned, so there is no maximum length."""

    def __init__(self, d_model: int):
        super().__init__()
        self.d_model = d_model
        self._table: Tensor | None = None  # no buffer: it is no part of a checkpoint, and grows with the texts

    def forward(self, embedded: Tensor, first: int) -> Tensor:
        """Those of the places from `first` on, (tokens, d_model), for an embedded text (batch, tokens, d_model)."""
        end = first + embedded.shape[1]
        table = self._table
        if table is None or len(table) < end or (table.device, table.dtype) != (embedded.device, embedded.dtype):
            with torch.inference_mode(False):  # kept for training, too
                self._table = table = sinusoids(max(end, 512), self.d_model).to(embedded.device, embedded.dtype)
        return table[first:end]
