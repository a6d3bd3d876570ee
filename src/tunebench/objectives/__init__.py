"""Objectives: how a task is posed to a model.

One file defines one objective: how examples become tokens and labels, and how a model's outputs become answers. The
model's own `forward(labels=...)` computes the loss. What several objectives share stands in files with a leading
underscore. The set is closed: plugins add none.
"""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.objectives.base import Objective


@functools.cache
def objectives() -> dict[str, type[Objective]]:
    """Every objective by its name."""
    return subclasses_in(sys.modules[__name__], Objective)
