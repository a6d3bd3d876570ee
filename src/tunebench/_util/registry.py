"""The folder is the registry: every module of a package that defines an entry is found, none is listed by hand."""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def subclasses_in(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Classes derived from `base`, by the name of the module that defines them.

    Raises:
        TypeError: a module holds not exactly one such class. `base.py` and names with a leading underscore are left
            out.
    """
    found = {}
    for module in _modules(package):
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
        ]
        if len(classes) != 1:
            raise TypeError(f"{module.__name__} defines {len(classes)} {base.__name__} classes; one file holds one")
        found[module.__name__.rpartition(".")[2]] = classes[0]
    return found


def instances_in(package: ModuleType, base: type[T]) -> dict[str, T]:
    """Module-level instances of `base`, by the name of the module that defines them.

    Raises:
        TypeError: a module holds not exactly one such instance.
    """
    found = {}
    for module in _modules(package):
        instances = [value for value in vars(module).values() if isinstance(value, base)]
        if len(instances) != 1:
            raise TypeError(f"{module.__name__} defines {len(instances)} of {base.__name__}; one file holds one")
        found[module.__name__.rpartition(".")[2]] = instances[0]
    return found


def _modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg)
    return [
        importlib.import_module(f"{package.__name__}.{name}")
        for name in names
        if name != "base" and not name.startswith("_")
    ]
