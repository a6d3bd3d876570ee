"""Attention weights of one forward pass, by kind of attention."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunebench.families.base import AttentionKind, Family

Weights = dict[AttentionKind, np.ndarray]
"""Kind of attention -> (layers, heads, queries, keys), float32; a row sums to 1."""


def weights(model: Any, family: Family, batch: dict[str, Tensor]) -> Weights:
    """The attention weights of a model for a batch of one text, computed by the model's own eager function."""
    family.show_attention(model)
    outputs: dict[int, Tensor] = {}
    kinds = family.attention_kinds(model)
    hooks = [
        module.register_forward_hook(lambda module, args, output: outputs.update({id(module): output[-1]}))
        for modules in kinds.values()
        for module in modules
    ]
    try:
        with torch.inference_mode():
            model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {kind: torch.cat([outputs[id(m)] for m in modules]).float().numpy() for kind, modules in kinds.items()}
