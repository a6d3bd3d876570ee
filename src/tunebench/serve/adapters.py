"""Low-rank updates of many tasks in one pass of a trunk: each row is changed by those of its own task."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunebench.families.base import Family
from tunebench.techniques.base import LowRankUpdate, Technique

Adapter = Mapping[str, LowRankUpdate]
"""By the name of the module whose output is updated."""


def adapter_of(technique: Technique, family: Family, model: Any, depth: int, trunk: Any) -> Adapter | None:
    """A task's updates below a depth, where they are all that distinguishes its model from the trunk there.

    Args:
        technique: the task's.
        family: of both models.
        model: the task's, its frozen parameters shared with the trunk's model.
        depth: stages.
        trunk: the trunk's model.
    """
    stages = family.stages(model)[:depth]
    below = {id(p) for stage in stages for module in stage.modules for p in module.parameters()}
    updates = {name: one for name, one in technique.updates(model).items() if id(one.weight) in below}
    trained = {id(p) for p in model.parameters() if p.requires_grad and id(p) in below}
    known = {id(p) for update in updates.values() for p in (update.down, update.up)}
    if not updates or trained != known or not family.frozen_depth(model):
        return None
    there = dict(trunk.named_modules())
    same = all(name in there and there[name].weight is one.weight for name, one in updates.items())
    return updates if same else None


@contextmanager
def applied(model: nn.Module, rows: Sequence[Adapter]) -> Iterator[None]:
    """Let the first rows of every batch pass the model with these adapters, one a row."""
    names = dict.fromkeys(name for adapter in rows for name in adapter)
    hooks = [
        model.get_submodule(name).register_forward_hook(_update([row.get(name) for row in rows])) for name in names
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _update(updates: Sequence[LowRankUpdate | None]) -> Any:
    """A hook that adds each row's update to a module's output."""
    first = updates[0]
    if first is not None and all(one is first for one in updates):
        return functools.partial(_of_one, update=first, rows=len(updates))
    rank = max(len(one.down) for one in updates if one is not None)
    like = next(one for one in updates if one is not None)
    parts = [_filled(one, rank, like) for one in updates]
    down = torch.stack([down for down, _ in parts])
    up = torch.stack([up for _, up in parts])
    return functools.partial(_of_each, down=down, up=up)


def _filled(update: LowRankUpdate | None, rank: int, like: LowRankUpdate) -> tuple[Tensor, Tensor]:
    """Transposed matrices, (in, rank) and (rank, out), of a common rank; zeros where a row has no update."""
    if update is None:
        return like.down.new_zeros(like.down.shape[1], rank), like.up.new_zeros(rank, len(like.up))
    missing = rank - len(update.down)
    return functional.pad(update.down.T, (0, missing)), functional.pad(update.up.T * update.scale, (0, 0, 0, missing))


def _of_one(module: nn.Module, args: tuple, output: Tensor, *, update: LowRankUpdate, rows: int) -> Tensor:
    """In the order of operations of the technique itself: the last bits are the same."""
    added = functional.linear(functional.linear(args[0][:rows], update.down), update.up) * update.scale
    return output + added if rows == len(output) else torch.cat([output[:rows] + added, output[rows:]])


def _of_each(module: nn.Module, args: tuple, output: Tensor, *, down: Tensor, up: Tensor) -> Tensor:
    rows = len(down)
    added = torch.bmm(torch.bmm(args[0][:rows], down), up)
    return torch.cat([output[:rows] + added, output[rows:]])
