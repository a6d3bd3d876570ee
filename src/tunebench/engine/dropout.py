"""Dropout masks that are five times faster on a CPU.

torch draws a CPU mask one Bernoulli number at a time on one thread: 5 ns per element, 10 % (full fine-tuning) to 23 %
(LoRA) of a training step. Here each 64-bit draw of the same generator gives four 16-bit numbers. The rate is
rounded to 1/65,536 and the scale is that of the rounded rate, so the expectation is exact. The masks differ from
torch's as those of two seeds do. On a GPU torch's own are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tunebench.families.attention.prefix import ATTENTION as WITH_PREFIX
from tunebench.families.attention.prefix import padded_bias, with_prefix

ATTENTION = "sdpa_fast_dropout"
_LEVELS = 1 << 16


def scaled_mask(like: Tensor, rate: float) -> Tensor:
    """0 with probability `rate`, else 1 / (1 - rate), in the shape and dtype of `like`."""
    dropped = round(rate * _LEVELS)
    draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[: like.numel()].view(like.shape)
    return (levels >= dropped - _LEVELS // 2).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))


class FastDropout(nn.Dropout):
    """`nn.Dropout` with masks from `scaled_mask`."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        if not self.training or self.p == 0 or self.p == 1:
            return functional.dropout(input, self.p, self.training)
        return input * scaled_mask(input, self.p)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention; (batch, heads, tokens, width) in, (batch, tokens, heads, width) out.

    With dropout, torch's own CPU kernel also falls back to these matrix products. Without dropout, torch's fast kernel
    is used.
    """
    texts = key.shape[2]
    key, value, attention_mask = with_prefix(module, query, key, value, attention_mask)
    options["position_bias"] = padded_bias(options.get("position_bias"), key.shape[2] - texts)
    plain = (
        key.shape[1] == query.shape[1]
        and options.get("position_bias") is None
        and (attention_mask is None or attention_mask.dtype == torch.bool)
    )
    if dropout == 0 or not plain:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    scores = torch.matmul(query * (scaling or query.shape[-1] ** -0.5), key.transpose(2, 3))
    if attention_mask is None and getattr(module, "is_causal", True):
        attention_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = scores.float().softmax(-1).to(value.dtype)
    weights = weights * scaled_mask(weights, dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def use_fast_dropout(model: nn.Module, base: PreTrainedModel) -> None:
    """Replace every dropout in a model that trains on a CPU; `base` is the transformers model inside it."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, FastDropout(child.p))
    if base.config._attn_implementation in ("sdpa", WITH_PREFIX):
        base.set_attn_implementation(ATTENTION)
