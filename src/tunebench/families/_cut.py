"""Modules that stand in for the lower stages of a cut model."""

import copy
from typing import Any, TypeVar

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

M = TypeVar("M", bound=nn.Module)


class Passed(nn.Module):
    """Stands where the embeddings stood; gives on the states that it gets as `inputs_embeds`."""

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        """States (batch, tokens, hidden), unchanged."""
        assert input_ids is None and inputs_embeds is not None, "a tail takes states, not token ids"
        return inputs_embeds


class Computed(nn.Module):
    """Stands where a wholly frozen backbone stood; its output is already computed."""

    def forward(
        self, input_ids: None = None, inputs_embeds: Tensor | None = None, *_: Any, **__: Any
    ) -> BaseModelOutputWithPooling:
        """States (batch, tokens, hidden) as last hidden state, the first of them as the pooled output."""
        assert input_ids is None and inputs_embeds is not None, "a tail takes states, not token ids"
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds, pooler_output=inputs_embeds[:, 0])


def shallow(module: M, **replaced: nn.Module | None) -> M:
    """A module with the same parameters and children, but for the replaced children. The original is untouched."""
    clone = copy.copy(module)
    clone.__dict__["_modules"] = {**module._modules, **replaced}
    return clone
