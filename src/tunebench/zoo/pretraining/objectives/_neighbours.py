"""Attention that begins by looking at the neighbours: what gets a small masked language model past its plateau.

A masked position's own embedding says nothing, so that all it can know must come through attention; as long as
attention looks at no particular positions, a masked language model predicts from a bag of words. A causal model has
no such plateau: its last token is under its eyes. Here the first layer's heads begin with attention to the tokens
before and after; only initial values change, the model is an ordinary BERT, and all of it trains on. Measured in
docs/decisions/0007.
"""

import math
from typing import Any

import torch
from torch import Tensor

_AMPLITUDE = 0.04  # of positions, where token embeddings have a standard deviation of 0.02
_GAIN = 1.0
_GOLDEN = (math.sqrt(5) - 1) / 2


def attend_to_neighbours(model: Any) -> None:
    """Heads 1, 2, 3, ... of a BERT's first layer begin with much of their attention 1 before, 1 after, 2 before, ...

    The first (hidden / heads) dimensions of the embeddings begin with sines and cosines of the position and nothing
    else (cf. Vaswani et al. 2017, section 3.5); queries copy them, and keys turn them by the head's distance, so that a
    score is sum over f of cos(f (distance - wanted)): frequencies spread evenly over (0, pi) make it a single peak.
    """
    embeddings, attention = model.bert.embeddings, model.bert.encoder.layer[0].attention.self
    heads = model.config.num_attention_heads
    width = model.config.hidden_size // heads
    frequencies = math.pi * ((torch.arange(width // 2) + 1) * _GOLDEN % 1)
    used = width // 2 * 2
    with torch.no_grad():
        embeddings.word_embeddings.weight[:, :used] = 0
        embeddings.token_type_embeddings.weight[:, :used] = 0
        table = embeddings.position_embeddings.weight
        table[:, :used] = _AMPLITUDE * _waves(torch.arange(len(table))[:, None] * frequencies)
        for head in range(heads):
            rows = slice(head * width, head * width + used)
            distance = (head // 2 + 1) * (-1) ** (head + 1)
            attention.query.weight[rows] = 0
            attention.key.weight[rows] = 0
            attention.query.weight[rows, :used] = _GAIN * torch.eye(used)
            attention.key.weight[rows, :used] = _GAIN * _turned(frequencies * distance)


def _waves(angles: Tensor) -> Tensor:
    """(..., n) angles -> (..., 2 n): sine, cosine, sine, cosine, ..."""
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def _turned(angles: Tensor) -> Tensor:
    """The matrix that takes the waves of angle a to those of a - angles, pair by pair."""
    cos, sin = angles.cos(), angles.sin()
    turns = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return torch.block_diag(*turns)
