"""Built-in tasks, one file each; the folder is the registry."""

import functools
import sys

from tunebench.registry import instances_in
from tunebench.tasks.base import Task


@functools.cache
def tasks() -> dict[str, Task]:
    """Every built-in task by its name."""
    return instances_in(sys.modules[__name__], Task)
