"""Attention to keys and values that stand before a text and come from no token (Li and Liang 2021).

They are read in the attention function, which all models of transformers share, so that nothing else of a model sees
them: positions, labels, pooled token and cache stay those of the text.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

ATTENTION = "sdpa_with_prefix"
EAGER = "eager_with_prefix"
"""The same, computed by the model's own eager function, which gives its weights as well."""


def with_prefix(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Key, value and mask with those of `module.prefix` (keys, values; (heads, prefix, width) each) in front."""
    prefix: Any = getattr(module, "prefix", None)
    if prefix is None or isinstance(prefix, list):
        return key, value, mask
    added = prefix[0].shape[-2]
    if mask is None and getattr(module, "is_causal", False) and query.shape[2] > 1:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=key.device)
        mask = mask.tril(key.shape[2] - query.shape[2])[None, None]
    if mask is not None:
        mask = functional.pad(mask, (added, 0), value=True if mask.dtype == torch.bool else 0.0)
    key, value = (
        torch.cat([states.to(text.dtype).expand(len(text), -1, -1, -1), text], dim=2)
        for states, text in zip(prefix, (key, value), strict=True)
    )
    return key, value, mask


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    _answer(module, key, value)
    texts = key.shape[2]
    key, value, attention_mask = with_prefix(module, query, key, value, attention_mask)
    options["position_bias"] = padded_bias(options.get("position_bias"), key.shape[2] - texts)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **options)


def _answer(module: nn.Module, key: Tensor, value: Tensor) -> None:
    """Keys and values of the first text, where `keys_and_values` asks for them."""
    asked: Any = getattr(module, "prefix", None)
    if isinstance(asked, list):
        asked.append(torch.stack([key[0], value[0]]))


def _eager_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    _answer(module, key, value)
    texts = key.shape[2]
    key, value, attention_mask = with_prefix(module, query, key, value, attention_mask)
    options["position_bias"] = padded_bias(options.get("position_bias"), key.shape[2] - texts)
    own: Any = sys.modules[type(module).__module__]
    return own.eager_attention_forward(module, query, key, value, attention_mask, **options)


def padded_bias(bias: Tensor | None, added: int) -> Tensor | None:
    """Biases of relative positions, (1, heads, queries, keys), with zeros for keys that have no position."""
    return bias if bias is None or not added else functional.pad(bias, (added, 0))


def keys_and_values(backbone: nn.Module, attentions: list[Any], ids: Tensor, **inputs: Any) -> Tensor:
    """Keys and values of these tokens as one text, (layers, 2, heads, tokens, width), where `ATTENTION` is used."""
    for attention in attentions:
        attention.prefix = []  # filled by the attention function
    was_training = backbone.training
    with torch.no_grad():
        backbone.eval()(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], **inputs)
    backbone.train(was_training)
    states = torch.stack([attention.prefix[0] for attention in attentions])
    for attention in attentions:
        attention.prefix = None
    return states


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
AttentionInterface.register(EAGER, _eager_attention)
AttentionMaskInterface.register(EAGER, eager_mask)
