"""How a small T5 begins: what gets it past the plateau where its decoder does not listen to its encoder.

A sentinel says nothing of the words around it. What the decoder can know of a span it must hear through cross-attention
from the encoder's state at that sentinel, which must have heard it from its neighbours: as long as one of the two looks
at no particular place, neither has a reason to. Only initial values change; the model is an ordinary T5, and all of it
trains on. Measured in benchmarks/pretraining.md.
"""

from typing import Any

import torch

_SMALL = 0.02  # standard deviation of the embeddings, as in GPT-2; T5's own begin with 1
_SHARP = 6.0  # bias of the one distance that a head looks at
_NEAR = {False: (-1, 1, -2, 2), True: (-1, -2, -3)}
"""Whether the stack is a decoder -> the distances that its first heads look at."""


def begin_aligned(model: Any) -> None:
    """Everything written to the residual stream begins small, heads look near, and sentinels find each other.

    Embeddings and output projections are scaled together, so that layers count at once; the last norm takes back T5's
    scaling of the states under a tied head. Neighbours and what the encoder says pass the lowest layers unchanged.
    """
    attentions = [model.encoder.block[0].layer[0].SelfAttention, model.decoder.block[0].layer[0].SelfAttention]
    cross = [block.layer[1].EncDecAttention for block in model.decoder.block]
    with torch.no_grad():
        model.shared.weight.normal_(std=_SMALL)
        model.decoder.final_layer_norm.weight.fill_(model.config.d_model**0.5)
        for name, parameter in model.named_parameters():
            if name.endswith((".o.weight", ".wo.weight")):
                parameter.mul_(_SMALL)
        for attention in attentions:
            _look_near(attention)
        for attention in (attentions[0], cross[0]):
            torch.nn.init.eye_(attention.v.weight)
            torch.nn.init.eye_(attention.o.weight).mul_(_SMALL)
        for attention in cross:  # a query is like the key of the same token: on both sides the same sentinel
            attention.q.weight.copy_(attention.k.weight / attention.key_value_proj_dim**0.5)


def _look_near(attention: Any) -> None:
    bias = attention.relative_attention_bias.weight
    bias.zero_()
    for head, distance in zip(range(attention.n_heads), _NEAR[attention.is_decoder], strict=False):
        bucket = attention._relative_position_bucket(
            torch.tensor([distance]),
            not attention.is_decoder,
            attention.relative_attention_num_buckets,
            attention.relative_attention_max_distance,
        )
        bias[bucket, head] = _SHARP
