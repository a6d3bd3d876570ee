"""Cutting a model at a module: states that reach it are taken out below, and put in again above.

Nothing is known of the model but where the module is. Layers below the cut stay in their list as modules that pass
their input on, because some models count them; what lies below the lowest layer computes what nobody reads.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from tunebench.families.cut.stand_ins import shallow


class _Reached(Exception):  # noqa: N818 (it is no error)
    """The module at which a trunk ends was called."""

    def __init__(self, states: Tensor):
        super().__init__()
        self.states = states


class Handover:
    """Hands the states that a tail is given to the module at which it begins."""

    def __init__(self) -> None:
        self._states: Tensor | None = None

    def put(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        """A hook of the module that a text enters."""
        given = kwargs.get("inputs_embeds")
        self._states = given if given is not None else states_in(args, kwargs)

    def take(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """A hook of the module at the cut: the first call reads these states, others what they are given."""
        states, self._states = self._states, None
        if states is None:
            return args, kwargs
        if args:
            return (states, *args[1:]), kwargs
        replaced = states_in((), kwargs)
        return args, {name: states if value is replaced else value for name, value in kwargs.items()}

    @property
    def states(self) -> Tensor:
        """What was put in."""
        assert self._states is not None, "a tail takes states, not token ids"
        return self._states


class Passing(nn.Module):
    """Stands for a layer below the cut: gives the states that it reads, as the layer would give them.

    What a model looks up in the layer, such as its kind of attention, is the layer's.
    """

    def __init__(self, layer: nn.Module, tuples: int, states: Callable[[], Tensor] | None = None):
        super().__init__()
        self.__dict__["_layer"] = layer  # not a child: its parameters are no part of a tail
        self._tuples, self._given = tuples, states

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_layer"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The states, alone or first in a tuple."""
        states = self._given() if self._given else states_in(args, kwargs)
        return (states, *[None] * (self._tuples - 1)) if self._tuples else states


def states_in(args: tuple, kwargs: Mapping[str, Any]) -> Tensor:
    """The first floating-point tensor of three dimensions among a call's arguments.

    Raises:
        IndexError: there is none.
    """
    given = [*args, *kwargs.values()]
    states = [x for x in given if isinstance(x, Tensor) and x.is_floating_point() and x.ndim == 3]
    return states[0]


def trunk_until(root: nn.Module, place: str) -> Callable[..., Tensor]:
    """Inputs of the root -> the states that reach the module at this place within it."""
    stopping = _hooked(root.get_submodule(place), _stop)
    lower = replaced(without_dropout(root, place), {place: stopping})
    _without_hooks(lower, "_forward_hooks")

    def trunk(**inputs: Tensor) -> Tensor:
        try:
            lower(**inputs)
        except _Reached as reached:
            return reached.states
        raise RuntimeError(f"no states reach {place}")

    return trunk


def _stop(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
    raise _Reached(states_in(args, kwargs))


def tail_from(root: nn.Module, place: str, passed: Iterable[str], passing: Iterable[str], tuples: int) -> nn.Module:
    """The root from this place on: it takes states as `inputs_embeds`.

    Args:
        root: the module that a text enters.
        place: of the module that reads the states.
        passed: places of the layers below.
        passing: places of modules below the layers whose widths may not be the states'.
        tuples: what layers give, see `Stack`.
    """
    entry = Handover()
    entering = _hooked(root.get_submodule(place), entry.take)
    return _entered(root, entry, {place: entering}, passed, passing, tuples)


def tail_above(root: nn.Module, last: str, passed: Iterable[str], passing: Iterable[str], tuples: int) -> nn.Module:
    """What follows the module that gives the root's states, as `tail_from`."""
    entry = Handover()
    giving = Passing(root.get_submodule(last), tuples, lambda: entry.states)
    return _entered(root, entry, {last: giving}, [place for place in passed if place != last], passing, tuples)


def _entered(
    root: nn.Module,
    entry: Handover,
    changed: dict[str, nn.Module],
    passed: Iterable[str],
    passing: Iterable[str],
    tuples: int,
) -> nn.Module:
    layers = {place: Passing(root.get_submodule(place), tuples) for place in passed}
    below = {place: Passing(root.get_submodule(place), 0) for place in passing}
    return _hooked(replaced(root, {**below, **layers, **changed}), entry.put)


def replaced(module: Any, changes: Mapping[str, nn.Module | None]) -> Any:
    """A module with the same parameters, but for modules at these places within it; the original is untouched."""
    inside: dict[str, dict[str, nn.Module | None]] = {}
    for place, other in changes.items():
        name, _, rest = place.partition(".")
        inside.setdefault(name, {})[rest] = other
    children = {
        name: below[""] if "" in below else replaced(module.get_submodule(name), below)
        for name, below in inside.items()
    }
    return shallow(module, **children)


def without_dropout(root: nn.Module, place: str) -> Any:
    """The root without dropout beside the way to a place: a tail that trains would switch it on in the trunk, too."""
    return replaced(root, dict.fromkeys(_dropouts(root, place), nn.Identity()))


def _dropouts(root: nn.Module, place: str) -> list[str]:
    holder, found = "", []
    for name in place.split("."):
        for child, module in root.get_submodule(holder).named_children():
            if "Dropout" in type(module).__name__:
                found.append(f"{holder}.{child}".strip("."))
        holder = f"{holder}.{name}".strip(".")
    return found


def _hooked(module: Any, hook: Any) -> Any:
    """A shallow copy with a hook before all others; the original keeps its own."""
    clone = copy.copy(module)
    for name in ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"):
        clone.__dict__[name] = OrderedDict(module.__dict__[name])
    clone.register_forward_pre_hook(hook, prepend=True, with_kwargs=True)
    return clone


def _without_hooks(module: nn.Module, name: str) -> None:
    module.__dict__[name] = OrderedDict()
    module.__dict__[f"{name}_with_kwargs"] = OrderedDict()
