"""The top layer for the one token of a text that a pooled head reads.

That token attends to all others, whose keys and values are needed. What the layer would give for them is not: BERT is
spared five sixths of its top layer, GPT-2, whose queries come with the keys, three quarters.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Complete:
    """Stands for transformers' cache of keys and values; those of the token that asks are in it already."""

    def __init__(self, keys: Tensor, values: Tensor):
        self._kept = keys, values

    def update(self, key: Tensor, value: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """What to attend to: (batch, heads, tokens, width) each."""
        return self._kept


def one_token(layer: nn.Module, state: Tensor, keys: Tensor, values: Tensor, mask: Tensor, width: int) -> Tensor:
    """What a layer gives for one token a text, equal within rounding to that token's row of its whole output.

    Args:
        layer: of transformers, which takes `past_key_values`; in evaluation mode.
        state: its input at that token, (batch, 1, hidden).
        keys: of all tokens, as projected: (batch, tokens, hidden).
        values: likewise.
        mask: 1 where the token may look, else 0: (batch, tokens).
        width: of an attention head.

    Returns:
        (batch, 1, hidden).
    """
    keys, values = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (keys, values))
    bias = torch.zeros_like(mask, dtype=keys.dtype).masked_fill(mask == 0, torch.finfo(keys.dtype).min)
    state = state.contiguous()  # torch copies a layer's weights for each row of a slice
    return layer(state, attention_mask=bias[:, None, None], past_key_values=_Complete(keys, values))
