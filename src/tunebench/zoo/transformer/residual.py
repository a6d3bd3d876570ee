"""Add & Norm: what stands around every sub-layer (Vaswani et al. 2017, sections 3.1 and 5.4)."""

from torch import Tensor, nn

from tunebench.zoo.transformer.config import TransformerConfig


class AddAndNorm(nn.Module):
    """LayerNorm(x + Dropout(Sublayer(x))): post-norm.

    Most later models norm a sub-layer's input instead, which trains without warm-up (Xiong et al. 2020); here the norm
    stands behind, as published, and a warm-up is needed.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, states: Tensor, change: Tensor) -> Tensor:
        """A sub-layer's input and its output, (batch, tokens, d_model) each, to the next one's input."""
        return self.norm(states + self.dropout(change))
