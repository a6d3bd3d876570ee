"""Cross-entropy over a vocabulary without ever holding all logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 512
"""Positions at once: their logits (8,192 words: 16 MB in float32) stay in a processor's cache."""
GPU_CHUNK = 16_384
"""On a GPU each chunk is a dozen launches; here the limit is memory (8,192 words: 512 MB)."""


class _SummedCrossEntropy(torch.autograd.Function):
    """Gradients are computed with the loss, chunk by chunk, while the chunk's logits are at hand."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        state_gradient = torch.empty_like(states)
        weight_gradient = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
        matrix = weight.to(states.dtype)
        chunk = GPU_CHUNK if states.is_cuda else CHUNK
        for start in range(0, len(states), chunk):
            part, wanted = states[start : start + chunk], labels[start : start + chunk]
            logits = (part @ matrix.T).float()
            normaliser = logits.logsumexp(-1)
            rows = torch.arange(len(part), device=part.device)
            total += (normaliser - logits[rows, wanted]).sum()
            if any(ctx.needs_input_grad):
                gradient = logits.sub_(normaliser[:, None]).exp_()
                gradient[rows, wanted] -= 1
                gradient = gradient.to(states.dtype)
                state_gradient[start : start + chunk] = gradient @ matrix
                weight_gradient += (gradient.T @ part).float()
        ctx.save_for_backward(state_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        state_gradient, weight_gradient = ctx.saved_tensors
        (scale,) = upstream
        return state_gradient * scale.to(state_gradient.dtype), weight_gradient * scale, None


def summed_cross_entropy(states: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Sum over positions of -log p(label), with logits `states @ weight.T`.

    Args:
        states: (positions, hidden), in the format to multiply in.
        weight: (vocabulary, hidden).
        labels: (positions,).
    """
    if not torch.is_autocast_enabled(states.device.type):
        return functional.cross_entropy(states @ weight.T, labels, reduction="sum")
    with torch.autocast(states.device.type, enabled=False):
        return _SummedCrossEntropy.apply(states.to(torch.bfloat16), weight, labels)  # type: ignore[return-value]
