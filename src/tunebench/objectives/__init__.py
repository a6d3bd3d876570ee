"""Objectives: how a task is posed to a model. A closed set, one file each."""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.objectives.base import Objective


@functools.cache
def objectives() -> dict[str, type[Objective]]:
    """Every objective by its name."""
    return subclasses_in(sys.modules[__name__], Objective)
