"""Linear modules of a layer by what they do, told by their names, their shapes and what holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

_FUSED = re.compile(r"qkv|c_attn|query_key_value|^in_proj$|^att_proj$")
_PROJECTIONS = {
    "query": re.compile(r"^(w?q|query)(_|$)|^query_global$"),
    "key": re.compile(r"^(w?k|key)(_|$)|^w?kv(_|$)"),
    "value": re.compile(r"^(w?v|value)(_|$)|^w?kv(_|$)"),
    "output": re.compile(r"^(w?o|out|output|dense|c_proj|proj)(_(proj|lin|dense))?$"),
}
"""Role -> leaf names of modules within attention, in lower case."""
_INWARDS = re.compile(r"up|gate|fc_?1|fc_in|lin_?1|c_fc|wi|intermediate|h_to_4h|w1|w3|in")
_ROUTERS = ("gate", "router", "shared_expert_gate")
"""Names of modules that choose experts: no role is theirs."""


def roles_of(layers: Sequence[nn.Module], hidden: int) -> dict[str, tuple[str, ...]]:
    """Role -> paths within a layer of its linear modules; a role that no layer has is left out.

    A module that computes several of query, key and value has all of these roles. Both projections into a gated
    feed-forward network are `mlp_in`.
    """
    found: dict[str, dict[str, None]] = {}
    for layer in layers:
        for path, module, attends in _linear(layer):
            for role in _attention_roles(path) if attends else _feed_forward_role(path, module, hidden):
                found.setdefault(role, {})[path] = None
    return {role: tuple(found[role]) for role in (*_PROJECTIONS, "mlp_in", "mlp_out") if role in found}


def _linear(layer: nn.Module) -> Iterator[tuple[str, Any, bool]]:
    """Path of each linear module, the module, and whether it is within attention."""
    for path, module in layer.named_modules():
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
            parts = path.split(".")
            above = [layer.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts))]
            named = any(re.search(r"attn|attention", name.lower()) for name in parts[:-1])
            classes = any(re.search(r"Attention|Attn", type(holder).__name__) for holder in above)
            yield path, module, named or classes


def _attention_roles(path: str) -> list[str]:
    leaf = path.rpartition(".")[2].lower()
    if _FUSED.search(leaf):
        return ["query", "key", "value"]
    return [role for role, pattern in _PROJECTIONS.items() if pattern.search(leaf)]


def _feed_forward_role(path: str, module: Any, hidden: int) -> list[str]:
    leaf = path.rpartition(".")[2].lower()
    if leaf in _ROUTERS and "expert" not in path:
        return []
    into, out = widths(module)
    if into == hidden and (out != hidden or _INWARDS.search(leaf)):
        return ["mlp_in"]
    return ["mlp_out"] if out == hidden else []


def widths(module: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear module; GPT-2's keeps its weight as (in, out)."""
    rows, columns = module.weight.shape
    return (rows, columns) if type(module).__name__ == "Conv1D" else (columns, rows)
