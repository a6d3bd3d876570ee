"""Fine-tuning techniques and baselines.

One file defines one technique: its settings, and what of a model trains. What several techniques share stands in files
with a leading underscore; techniques never import each other. `guide/` holds what people should know of each one, in
YAML. Plugins add techniques through the entry points `tunebench.techniques`.
"""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.techniques.base import Entry


@functools.cache
def techniques() -> dict[str, type[Entry]]:
    """Every technique and baseline by its name."""
    return subclasses_in(sys.modules[__name__], Entry, "tunebench.techniques")
