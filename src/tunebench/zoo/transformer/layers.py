"""One layer of either stack (Vaswani et al. 2017, section 3.1 and figure 1)."""

from torch import Tensor, nn
from transformers import EncoderDecoderCache

from tunebench.zoo.transformer.attention import MultiHeadAttention
from tunebench.zoo.transformer.config import TransformerConfig
from tunebench.zoo.transformer.feed_forward import FeedForward
from tunebench.zoo.transformer.residual import AddAndNorm


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network, each with Add & Norm; (batch, sources, d_model) in and out."""

    def __init__(self, config: TransformerConfig, layer: int):
        super().__init__()
        self.self_attention = MultiHeadAttention(config, layer, is_causal=False)
        self.after_self_attention = AddAndNorm(config)
        self.feed_forward = FeedForward(config)
        self.after_feed_forward = AddAndNorm(config)

    def forward(self, states: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The states above this layer, and the weights of its attention (see `MultiHeadAttention`)."""
        heard, weights = self.self_attention(states, None, mask)
        states = self.after_self_attention(states, heard)
        return self.after_feed_forward(states, self.feed_forward(states)), weights


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the encoder's output, the feed-forward network, each with Add & Norm.

    (batch, targets, d_model) in and out.
    """

    def __init__(self, config: TransformerConfig, layer: int):
        super().__init__()
        self.self_attention = MultiHeadAttention(config, layer, is_causal=True)
        self.after_self_attention = AddAndNorm(config)
        self.cross_attention = MultiHeadAttention(config, layer, is_causal=False)
        self.after_cross_attention = AddAndNorm(config)
        self.feed_forward = FeedForward(config)
        self.after_feed_forward = AddAndNorm(config)

    def forward(
        self,
        states: Tensor,
        mask: Tensor | None,
        memory: Tensor,
        memory_mask: Tensor | None,
        cache: EncoderDecoderCache | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The states above this layer, and the weights of both attentions.

        `memory` is the encoder's output, (batch, sources, d_model).
        """
        heard, weights = self.self_attention(states, None, mask, cache)
        states = self.after_self_attention(states, heard)
        read, cross_weights = self.cross_attention(states, memory, memory_mask, cache)
        states = self.after_cross_attention(states, read)
        return self.after_feed_forward(states, self.feed_forward(states)), weights, cross_weights
