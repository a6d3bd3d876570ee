"""Entries (techniques, tasks, metrics, families, ...) are discovered, not listed.

They come from two places: the modules of a package, and the plugins that installed distributions declare as entry
points (`importlib.metadata`). An entry point `name = pkg.module` names a module that defines an entry exactly as a file
`name.py` in the package would.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any, TypeVar

from tunebench._util.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Definition:
    """A module that defines an entry, and the entry point that names it if it is a plugin's."""

    name: str
    module: ModuleType
    point: metadata.EntryPoint | None = None

    def error(self, fault: str) -> Exception:
        """A plugin's fault is one that the user can mend; a fault in the package is our own."""
        return TypeError(f"{self.module.__name__}: {fault}") if self.point is None else _refusal(self.point, fault)


def subclasses_in(package: ModuleType, base: type[T], group: str | None = None) -> dict[str, type[T]]:
    """Classes derived from `base`, by the name of their module or entry point.

    Args:
        package: the folder; subfolders, `base.py` and names with a leading underscore are left out.
        base: its subclass must be defined in the module, not imported into it.
        group: of entry points; None takes the folder alone.

    Raises:
        TypeError: a module of the package holds not exactly one such class, or one of another name.
        UserError: a plugin does, or it cannot be imported, or its name is taken.
    """
    return {
        definition.name: _only(
            definition,
            [
                value
                for value in vars(definition.module).values()
                if isinstance(value, type)
                and issubclass(value, base)
                and value.__module__ == definition.module.__name__
            ],
            base.__name__,
        )
        for definition in definitions_in(package, group)
    }


def instances_in(package: ModuleType, base: type[T], group: str | None = None) -> dict[str, T]:
    """Module-level instances of `base`, as `subclasses_in`."""
    return {
        definition.name: _only(
            definition, [v for v in vars(definition.module).values() if isinstance(v, base)], base.__name__
        )
        for definition in definitions_in(package, group)
    }


def definitions_in(package: ModuleType, group: str | None = None) -> Iterator[Definition]:
    """The modules of a package that define entries, in alphabetical order, then the plugins'.

    Raises:
        UserError: a plugin cannot be imported, or its name is taken.
    """
    modules: dict[str, ModuleType] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if not info.ispkg and info.name != "base" and not info.name.startswith("_"):
            modules[info.name] = importlib.import_module(f"{package.__name__}.{info.name}")
            yield Definition(info.name, modules[info.name])
    for point in _entry_points().select(group=group) if group else ():
        if point.name in modules:
            raise _refusal(point, f"{modules[point.name].__name__} has this name already")
        modules[point.name] = _imported(point)
        yield Definition(point.name, modules[point.name], point)


@functools.cache
def _entry_points() -> metadata.EntryPoints:
    """All of them, read once: to find them, a file of every installed distribution is read."""
    points: Any = metadata.entry_points()  # typeshed has the interface of Python 3.9 here
    return points


def _imported(point: metadata.EntryPoint) -> ModuleType:
    try:
        return importlib.import_module(point.value)
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError) as error:
        raise _refusal(point, f"it cannot be imported ({type(error).__name__}: {error})") from error


def _only(definition: Definition, entries: list[T], kind: str) -> T:
    """The one entry that a module defines, under the name by which it is registered."""
    if len(entries) != 1:
        raise definition.error(f"it defines {len(entries)} of {kind}, where one module defines one")
    name = getattr(entries[0], "name", definition.name)
    if name != definition.name:
        raise definition.error(f"it is registered as '{definition.name}', but defines '{name}'; use one name")
    return entries[0]


def _refusal(point: metadata.EntryPoint, fault: str) -> UserError:
    of = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    removal = f"pip uninstall {point.dist.name}" if point.dist else f"uninstall what brings {point.module}"
    return UserError(
        f"plugin{of}, entry point {point.group}: {point.name} = {point.value}: {fault}. "
        f"Correct the plugin, or remove it: {removal}"
    )
