"""Who may look at whom (Vaswani et al. 2017, section 3.2.3). True: may."""

import torch
from torch import Tensor


def causal(targets: int, sources: int, device: torch.device) -> Tensor:
    """Each target sees itself and what stands before it, so that a token is predicted from earlier ones alone.

    Returns:
        (1, 1, targets, sources), a lower triangle. Targets are the last ones of the sources: those before them were
        decoded in earlier steps.
    """
    return torch.ones(targets, sources, dtype=torch.bool, device=device).tril(sources - targets)[None, None]


def padding(attention_mask: Tensor | None) -> Tensor | None:
    """No token attends to padding: (batch, sources) of 0 and 1 to (batch, 1, 1, sources)."""
    return None if attention_mask is None else attention_mask[:, None, None, :].bool()


def masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores (batch, heads, targets, sources) that are as good as minus infinity where one may not look.

    Their softmax is exactly zero; a target that may look at nothing gets no NaN.
    """
    return scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
