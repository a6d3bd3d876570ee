"""Attention (Vaswani et al. 2017, section 3.2): the equation, and several heads of it side by side."""

import math
from typing import Any

from torch import Tensor, nn
from transformers import EncoderDecoderCache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tunebench.zoo.transformer.config import TransformerConfig
from tunebench.zoo.transformer.masks import masked


def scaled_dot_product_attention(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V (equation 1).

    Each query attends to all keys, and gets the mean of the values weighted by how well it matches their keys. Products
    of d_k numbers of unit variance have variance d_k: without the root the softmax would be all but one-hot.

    Args:
        queries: (batch, heads, targets, d_k).
        keys: (batch, heads, sources, d_k).
        values: (batch, heads, sources, d_v).
        mask: whether a target may look at a source, boolean, broadcast to (batch, heads, targets, sources).

    Returns:
        The means, (batch, heads, targets, d_v), and the weights, (batch, heads, targets, sources).
    """
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    weights = masked(scores, mask).softmax(dim=-1)
    return weights @ values, weights


class MultiHeadAttention(nn.Module):
    """MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V) (3.2.2).

    The W_i of all heads stand side by side in one matrix, d_model x d_model, without biases. Self-attention makes
    queries, keys and values of the same states, cross-attention keys and values of the encoder's (3.2.3).

    Args:
        config: its width and number of heads; heads must divide the width.
        layer: the number of the layer within its stack, under which a cache keeps keys and values.
        is_causal: whether a target must not look at later ones; `masks.causal` sees to it.
    """

    def __init__(self, config: TransformerConfig, layer: int, is_causal: bool):
        super().__init__()
        if config.d_model % config.num_heads:
            raise ValueError(f"{config.num_heads} heads do not divide a width (d_model) of {config.d_model}")
        self.config, self.layer, self.is_causal = config, layer, is_causal
        self.width = config.d_model // config.num_heads
        self.query, self.key, self.value, self.output = (
            nn.Linear(config.d_model, config.d_model, bias=False) for _ in range(4)
        )

    def forward(
        self, states: Tensor, memory: Tensor | None, mask: Tensor | None, cache: EncoderDecoderCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The output of each state: a mixture of the states that it attends to.

        Args:
            states: (batch, targets, d_model), of which the queries are made.
            memory: (batch, sources, d_model), of which keys and values are made; None: of `states`.
            mask: as `scaled_dot_product_attention` takes it.
            cache: keys and values of earlier steps of a generation.

        Returns:
            (batch, targets, d_model), and the weights where `attn_implementation` is "eager": the equation above.
            Others (torch's fused form by default) give the same states sooner, and no weights.
        """
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation or "eager", eager_attention_forward
        )
        keys, values = self._keys_and_values(states, memory, cache)
        heads, weights = attend(self, self._split(self.query(states)), keys, values, mask, scaling=self.width**-0.5)
        return self.output(heads.flatten(2)), weights

    def _split(self, states: Tensor) -> Tensor:
        """(batch, tokens, d_model) to (batch, heads, tokens, width)."""
        return states.unflatten(-1, (self.config.num_heads, self.width)).transpose(1, 2)

    def _keys_and_values(
        self, states: Tensor, memory: Tensor | None, cache: EncoderDecoderCache | None
    ) -> tuple[Tensor, Tensor]:
        """Those of the text so far, to which each step adds its own; or those of the source, made once."""
        if cache is not None and memory is not None and cache.is_updated.get(self.layer):
            kept: Any = cache.cross_attention_cache.layers[self.layer]
            return kept.keys, kept.values
        looked_at = states if memory is None else memory
        keys, values = self._split(self.key(looked_at)), self._split(self.value(looked_at))
        if cache is None:
            return keys, values
        if memory is None:
            return cache.self_attention_cache.update(keys, values, self.layer)
        cache.is_updated[self.layer] = True
        return cache.cross_attention_cache.update(keys, values, self.layer)


def eager_attention_forward(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **_: Any
) -> tuple[Tensor, Tensor]:
    """The equation in the form that all attention functions of transformers have: tokens before heads."""
    states, weights = scaled_dot_product_attention(query, key, value, attention_mask)
    return states.transpose(1, 2), weights
