"""Pretraining objectives, one file each; the folder is the registry."""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.zoo.pretraining.objectives.base import PretrainingObjective


@functools.cache
def objectives() -> dict[str, PretrainingObjective]:
    """Every pretraining objective by its name."""
    classes: dict[str, type[PretrainingObjective]] = subclasses_in(sys.modules[__name__], PretrainingObjective)
    return {name: cls() for name, cls in classes.items()}
