"""A forward pass of a model on the meta device, watched: which module is called when, with what, and who attends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AttentionInterface, AttentionMaskInterface

_ATTENTION = "watched"
_TOKENS = 4


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        path: the module's, from the model.
        start: when it began, counted in beginnings and ends of calls.
        end: when it ended.
        states: the first tensor of states, (batch, tokens, width), that it was given, or None.
        output: what it gave.
    """

    path: str
    start: int
    end: int
    states: Tensor | None
    output: Any

    @property
    def gives(self) -> Tensor | None:
        """The tensor of states that it gave, alone or first in a tuple."""
        first: Any = self.output[0] if isinstance(self.output, tuple | list) and self.output else self.output
        return first if is_states(first) else None


@dataclass
class Trace:
    """A watched pass.

    Attributes:
        calls: in the order of their ends.
        attentions: path of each module that called the attention function, with the shape of its keys.
    """

    calls: list[Call] = field(default_factory=list)
    attentions: list[tuple[str, torch.Size]] = field(default_factory=list)

    def of(self, path: str) -> list[Call]:
        """The calls of a module."""
        return [call for call in self.calls if call.path == path]


class _Values(TorchDispatchMode):
    """What the meta device cannot compute: a value that a model looks at is true, or 0; experts have shapes only.

    Tensors that a model makes on the CPU join the others.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else 0
        if func is torch.ops.aten._grouped_mm.default:
            return args[0].new_empty(args[0].shape[0], args[1].shape[-1])
        given = tree_leaves((args, kwargs))
        if any(isinstance(value, Tensor) and value.is_meta for value in given):
            args, kwargs = tree_map(_without_values, (args, kwargs))
        return func(*args, **(kwargs or {}))


def _without_values(value: Any) -> Any:
    """A tensor that a model made on the CPU, on the meta device."""
    return value.to("meta") if isinstance(value, Tensor) else value


def is_states(value: Any) -> bool:
    """Whether a value is a floating-point tensor of three dimensions."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3


def traced(model: Any, *, embedded: bool) -> Trace:
    """Watch a model on the meta device read a text, as token ids or `embedded`: as `inputs_embeds`."""
    trace, clock, begun = Trace(), [0], []
    paths = {module: path for path, module in model.named_modules()}

    def enters(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        given = [*args, *kwargs.values()]
        begun.append((clock[0], next((value for value in given if is_states(value)), None)))
        clock[0] += 1

    def leaves(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        start, states = begun.pop()
        trace.calls.append(Call(paths[module], start, clock[0], states, output))
        clock[0] += 1

    def attends(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Any:
        trace.attentions.append((paths[module], key.shape))
        return query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[-1]), None

    AttentionInterface.register(_ATTENTION, attends)
    AttentionMaskInterface.register(_ATTENTION, _mask)
    for module in paths:
        module.register_forward_pre_hook(enters, with_kwargs=True)
        module.register_forward_hook(leaves, with_kwargs=True)
    if model._can_set_attn_implementation():
        model.set_attn_implementation(_ATTENTION)
    model.config.use_cache = model.config.get_text_config().use_cache = False
    with torch.no_grad(), torch.device("meta"), _Values():
        model.eval()(**_inputs(model, embedded))
    return trace


def _mask(batch_size: int, q_length: int, kv_length: int, **_: Any) -> Tensor:
    """A mask that hides nothing, for models that read it themselves."""
    return torch.ones(batch_size, 1, q_length, kv_length, dtype=torch.bool, device="meta")


def _inputs(model: Any, embedded: bool) -> dict[str, Tensor]:
    ids = torch.zeros(1, _TOKENS, dtype=torch.long, device="meta")
    width = model.get_input_embeddings().weight.shape[-1]
    text = {"inputs_embeds": torch.zeros(1, _TOKENS, width, device="meta")} if embedded else {"input_ids": ids}
    return text | ({"decoder_input_ids": ids[:, :3]} if model.config.is_encoder_decoder else {})
