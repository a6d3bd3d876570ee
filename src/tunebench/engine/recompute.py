"""How a model computes what a study may choose: attention, and activations in the backward pass.

With gradient checkpointing a layer keeps its input, and what it computes from it is computed again in the backward pass
(Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, https://arxiv.org/abs/1604.06174). Dropout draws the
same masks again, so that weights and scores stay the same. Layers below a cut run without gradients anyway.
"""

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from tunebench._util.errors import UserError, brief


def attend(model: PreTrainedModel, implementation: str) -> None:
    """Let a model compute attention by an implementation of transformers: `eager` or `sdpa`.

    Raises:
        UserError: the model does not have it.
    """
    try:
        model.set_attn_implementation(implementation)
    except (ValueError, ImportError) as error:
        raise UserError(
            f"training.attention: {implementation} is unavailable ({brief(error)}). Leave it out."
        ) from error


def recompute(model: nn.Module) -> None:
    """Let every Transformer layer that trains compute its activations again in the backward pass.

    Raises:
        UserError: transformers cannot do so with this model.
    """
    layers: list[Any] = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise UserError(
            "training.gradient_checkpointing: the layers of this model cannot compute their activations again. Leave "
            "it out, or give a smaller micro_batch_size."
        )
    for layer in layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
