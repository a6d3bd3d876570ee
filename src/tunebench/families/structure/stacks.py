"""The layers of a model, and what lies below, between and above them, as a watched forward pass shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from torch import nn

from tunebench.families.structure.trace import Call, Trace, is_states


@dataclass(frozen=True)
class Stack:
    """Layers that a text passes one after another; all places are paths from the model.

    Attributes:
        root: the module that a text enters: backbone, encoder or decoder.
        listed: the list of the layers.
        layers: the layers, lowest first.
        below: modules with parameters that lie below the lowest layer, or that all layers use.
        between: for each layer, modules with parameters that lie between it and the next.
        above: modules with parameters above the highest layer, within the root.
        last: the module that gives the root's states; the highest layer, or a norm above it.
        entered: the module whose output enters the lowest layer; None where none does.
        passing: of `below`, those that pass on the states that a text is given as.
        tuples: how long a tuple a layer gives; 0 where it gives a tensor alone.
        closing: for each layer, the norm whose output the layer gives, or "".
        takes_states: whether the model takes an embedded text.
        passes: how often a text passes layers; more than there are layers where these are shared.
    """

    root: str
    listed: str
    layers: tuple[str, ...]
    below: tuple[str, ...]
    between: tuple[tuple[str, ...], ...]
    above: tuple[str, ...]
    last: str
    entered: str | None
    passing: tuple[str, ...]
    tuples: int
    closing: tuple[str, ...]
    takes_states: bool
    passes: int

    def within(self) -> Stack:
        """The same with paths from the root, of those places that lie within it."""
        inside = {name: _inside(self.root, getattr(self, name)) for name in ("layers", "below", "above", "passing")}
        listed, last = (place.removeprefix(f"{self.root}.") for place in (self.listed, self.last))
        return replace(self, listed=listed, last=last, **inside)


def _inside(root: str, places: Sequence[str]) -> tuple[str, ...]:
    return tuple(place.removeprefix(f"{root}.") for place in places)


def stack_in(model: nn.Module, root: str, read: Trace, embedded: Trace | None) -> Stack | None:
    """The layers within a module, or None where no list of modules is passed one after another.

    Args:
        model: that was watched.
        root: path of the module that holds them; a head may pass it over and call a module within it.
        read: the watched reading of token ids.
        embedded: the watched reading of `inputs_embeds`; None where the model takes none.
    """
    listed = max(_lists(model, root, read), key=lambda path: _size(model.get_submodule(path)), default=None)
    if listed is None:
        return None
    root = _entered(root, listed, read)
    layers = tuple(f"{listed}.{index}" for index in range(len(model.get_submodule(listed))))  # type: ignore[arg-type]
    calls = sorted((call for layer in layers for call in read.of(layer)), key=lambda call: call.start)
    below, between, above = _around(model, root, listed, read, calls)
    return Stack(
        root=root,
        listed=listed,
        layers=layers,
        below=below,
        between=between,
        above=above,
        last=_last(read, above, calls[-1]),
        entered=_giver(read, calls[0], root),
        passing=tuple(path for path in below if embedded and _passes_states(embedded, path)),
        tuples=len(calls[0].output) if isinstance(calls[0].output, tuple | list) else 0,
        closing=tuple(_closing(model, read, layer) for layer in layers),
        takes_states=embedded is not None,
        passes=len(calls),
    )


def _lists(model: nn.Module, root: str, trace: Trace) -> Iterator[str]:
    """Lists of modules within the root whose members take states and give states to the next."""
    for path, module in model.get_submodule(root).named_modules(prefix=root):
        if isinstance(module, nn.ModuleList) and len(module):
            calls = [trace.of(f"{path}.{index}") for index in range(len(module))]
            if all(calls) and _chained([called[0] for called in calls], trace):
                yield path


def _entered(root: str, listed: str, trace: Trace) -> str:
    """The outermost module from the root to the list of the layers that is called."""
    called = {call.path for call in trace.calls}
    names = listed.split(".")
    ways = [".".join(names[:depth]) for depth in range(len(root.split(".")), len(names))]
    return next(path for path in ways if path in called)


def _chained(calls: Sequence[Call], trace: Trace) -> bool:
    """Whether each module reads what the one before it has given, once perhaps through another module."""
    if any(call.states is None or call.gives is None or call.states.shape != call.gives.shape for call in calls):
        return False
    broken = sum(after.states is not before.gives for before, after in pairwise(calls))
    return broken <= (1 if len(calls) > 1 else 0) and not (broken and len(calls) == 2 and _listed_between(calls, trace))


def _listed_between(calls: Sequence[Call], trace: Trace) -> bool:
    """Whether members of other lists are called between two of these modules."""
    first, second = calls
    between = [call for call in trace.calls if first.end < call.start and call.end < second.start]
    return any(part.isdecimal() for call in between for part in call.path.split("."))


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _around(
    model: nn.Module, root: str, listed: str, trace: Trace, calls: Sequence[Call]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Modules with parameters beside the list of layers: below it, after each layer, and above it.

    A module that is never called, or also before the lowest layer, lies below: its parameters may reach every layer.
    """
    below, above = [], []
    between: list[list[str]] = [[] for _ in model.get_submodule(listed)]  # type: ignore[union-attr]
    for path in _beside(model, root, listed):
        called = trace.of(path)
        if not called or min(call.start for call in called) < calls[0].start:
            below.append(path)
        elif min(call.start for call in called) > calls[-1].end:
            above.append(path)
        else:
            passed = max(index for index, call in enumerate(calls) if call.start < called[0].start)
            between[min(passed, len(between) - 1)].append(path)
    return tuple(below), tuple(map(tuple, between)), tuple(above)


def _beside(model: nn.Module, root: str, listed: str) -> Iterator[str]:
    """Children with parameters of the modules on the way from the root to the list, without that way."""
    place = root
    for name in [*listed[len(root) :].strip(".").split(".")]:
        holder = model.get_submodule(place)
        for child, module in holder.named_children():
            if child != name and any(True for _ in module.parameters()):
                yield f"{place}.{child}".strip(".")
        place = f"{place}.{name}".strip(".")


def _giver(trace: Trace, layer: Call, root: str) -> str | None:
    """The outermost module below the lowest layer whose output that layer reads."""
    givers = [c for c in trace.calls if c.end < layer.start and c.output is layer.states and c.path.startswith(root)]
    return givers[-1].path if givers else None


def _passes_states(trace: Trace, path: str) -> bool:
    return any(is_states(call.output) and call.states is not None for call in trace.of(path))


def _last(trace: Trace, above: Sequence[str], top: Call) -> str:
    """The highest module that passes on states: the top layer, or the last norm above it."""
    norms = [
        path for path in above if any(call.states is not None and call.gives is not None for call in trace.of(path))
    ]
    return norms[-1] if norms else top.path


def _closing(model: nn.Module, trace: Trace, layer: str) -> str:
    """The norm within a layer whose output is the layer's: the addition precedes it."""
    call = trace.of(layer)[0]
    inside: Any = [c for c in trace.calls if call.start < c.start and c.end < call.end and c.gives is call.gives]
    norms = [c.path for c in inside if type(model.get_submodule(c.path)).__name__.endswith("Norm")]
    return norms[0] if norms else ""
