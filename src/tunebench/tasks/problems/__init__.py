"""Problem types, one file each; the folder is the registry."""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.tasks.base import Task


@functools.cache
def problems() -> dict[str, type[Task]]:
    """Every problem type by its objective's name, plugins' (entry points `tunebench.problems`) last."""
    return subclasses_in(sys.modules[__name__], Task, "tunebench.problems")  # pyright: ignore[reportArgumentType]
