"""Pretraining objectives, one file each; the folder is the registry."""

import functools
import sys

from tunebench.pretraining.objectives.base import PretrainingObjective
from tunebench.registry import subclasses_in


@functools.cache
def objectives() -> dict[str, PretrainingObjective]:
    """Every pretraining objective by its name."""
    found: dict[str, type[PretrainingObjective]] = subclasses_in(sys.modules[__name__], PretrainingObjective)
    return {name: cls() for name, cls in found.items()}
