"""Model families, one file each; the folder is the registry."""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.families.base import Family


@functools.cache
def families() -> dict[str, Family]:
    """Every family by its name."""
    classes: dict[str, type[Family]] = subclasses_in(sys.modules[__name__], Family)
    return {name: cls() for name, cls in classes.items()}


def family_of(model_type: str) -> Family | None:
    """The family that loads a transformers `model_type`, or None."""
    return next((family for family in families().values() if model_type in family.model_types), None)
