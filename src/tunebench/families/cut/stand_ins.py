"""Modules that stand in for the lower stages of a cut model."""

import copy
from collections import OrderedDict
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions as Output

M = TypeVar("M", bound=nn.Module)


class PassedStates(nn.Module):
    """Stands where the embeddings stood; gives on the states that it gets as `inputs_embeds`."""

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        """States (batch, tokens, hidden), unchanged."""
        assert input_ids is None and inputs_embeds is not None, "a tail takes states, not token ids"
        return inputs_embeds


class ComputedBackbone(nn.Module):
    """Stands where a wholly frozen backbone or encoder stood; its output is already computed.

    Args:
        pooler: what still follows, where the backbone's pooler trains.
    """

    main_input_name = "input_ids"  # what generation asks an encoder for

    def __init__(self, pooler: nn.Module | None = None):
        super().__init__()
        self.pooler = pooler

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, *_: Any, **__: Any) -> Output:
        """States (batch, tokens, hidden) as last hidden state; the pooler's output, or the first of them."""
        assert input_ids is None and inputs_embeds is not None, "a tail takes states, not token ids"
        pooled = inputs_embeds[:, 0] if self.pooler is None else self.pooler(inputs_embeds)
        return Output(last_hidden_state=inputs_embeds, pooler_output=pooled)


class NoPositions(nn.Module):
    """Stands where positions were added; they are in the states already."""

    def forward(self, *_: Any, **__: Any) -> Tensor:
        """Zero, for every position."""
        return torch.zeros(())


def without_output_hooks(module: nn.Module) -> None:
    """Drop the forward hooks of a shallow copy; the original keeps its own."""
    module.__dict__["_forward_hooks"] = OrderedDict()
    module.__dict__["_forward_hooks_with_kwargs"] = OrderedDict()


def shallow(module: M, **replaced: nn.Module | None) -> M:
    """A module with the same parameters and children, but for the replaced children. The original is untouched."""
    clone = copy.copy(module)
    clone.__dict__["_modules"] = {**module._modules, **replaced}
    return clone
