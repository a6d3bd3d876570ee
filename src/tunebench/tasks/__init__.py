"""Tasks: the question, the data, and the metrics."""

import functools

from tunebench._util.registry import instances_in
from tunebench.tasks import built_in
from tunebench.tasks.base import Task


@functools.cache
def tasks() -> dict[str, Task]:
    """Every built-in task by its name, and every plugin's (entry points `tunebench.tasks`)."""
    return instances_in(built_in, Task, "tunebench.tasks")
