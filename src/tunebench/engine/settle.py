"""Places a model on its device, in its number formats and with the faster modules."""

from typing import Any

import torch

from tunebench.engine.activation import use_fused_gelu
from tunebench.engine.dropout import use_fast_dropout
from tunebench.engine.precision import Precision, compute_in_float32, store_frozen_in_bf16
from tunebench.families.base import Family, base_of


def settle(model: Any, family: Family, device: torch.device, precision: Precision, exact_logits: bool) -> None:
    """Put a model on its device in its number formats, in evaluation mode.

    `exact_logits`: a pretrained language-modelling head computes in float32, too.
    """
    fit_out(model, family, device, precision, exact_logits)
    model.to(device).eval()


def fit_out(model: Any, family: Family, device: torch.device, precision: Precision, exact_logits: bool) -> None:
    """Give a model the number formats and the faster modules that it has on a device; it stays where it is."""
    use_fused_gelu(model)
    head = [*family.head(model), *([base_of(model).get_output_embeddings()] if exact_logits else [])]
    if precision == "bf16":
        store_frozen_in_bf16(model, head)
    if device.type == "cpu":
        use_fast_dropout(model, base_of(model))
    for module in head:
        compute_in_float32(module, device.type)
