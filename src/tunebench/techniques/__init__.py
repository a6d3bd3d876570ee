"""Fine-tuning techniques and baselines, one file each; the folder is the registry."""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.techniques.base import Entry


@functools.cache
def techniques() -> dict[str, type[Entry]]:
    """Every technique and baseline by its name."""
    return subclasses_in(sys.modules[__name__], Entry)
