"""Whether two models answer alike: their logits on the same texts, compared up to rounding."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from tunebench.engine.sources import TokenSource
from tunebench.objectives.base import Features, Objective

_IN_FLOAT32, _IN_BF16 = (1e-3, 0.01), (0.1, 1.0)
"""What rounding explains: a fraction of the largest logit, which counts as the second number where it is smaller."""


def logits_of(
    model: Any,
    objective: Objective,
    features: Features,
    indices: Sequence[int],
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[Tensor]:
    """A model's logits on some texts, each alone in its batch, (tokens, outputs) or (outputs,), in evaluation mode."""
    model.eval()
    source = TokenSource(objective, features, next(model.parameters()).device)
    alone = []
    for index in indices:
        batch = source.batch([index])
        if not model.config.is_encoder_decoder:  # whose decoder reads the labels
            del batch["labels"]
        with torch.inference_mode(), context():
            output = model(**batch)
        logits = getattr(output, "logits", None)
        if logits is None:  # of spans, from a model without the family's hooks
            logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
        alone.append(logits[0].float().cpu())
    return alone


def disagreement(model: Any, one: Sequence[Tensor], other: Sequence[Tensor]) -> float | None:
    """The largest difference between two models' logits; None where rounding explains it.

    `model` is one of them, whose number format says what rounding is.
    """
    pairs = list(zip(one, other, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return math.inf
    gap = max(float((a - b).abs().max()) for a, b in pairs)
    largest = max(float(a.abs().max()) for a in one)
    coarse = any(parameter.dtype == torch.bfloat16 for parameter in model.parameters())
    fraction, least = _IN_BF16 if coarse else _IN_FLOAT32
    allowed = fraction * max(largest, least)
    return None if gap <= allowed else gap  # a NaN is no agreement
