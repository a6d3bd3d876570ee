"""The position-wise feed-forward network (Vaswani et al. 2017, section 3.3)."""

from torch import Tensor, nn

from tunebench.zoo.transformer.config import TransformerConfig


class FeedForward(nn.Module):
    """FFN(x) = max(0, x W_1 + b_1) W_2 + b_2 (equation 2), for each position by itself.

    (batch, tokens, d_model) to (batch, tokens, d_ff) and back. Attention moves information between positions; this one
    works on what has come together at each.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.d_ff)
        self.outer = nn.Linear(config.d_ff, config.d_model)

    def forward(self, states: Tensor) -> Tensor:
        """States of the same shape."""
        return self.outer(self.inner(states).relu())
