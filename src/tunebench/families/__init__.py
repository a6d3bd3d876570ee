"""Model families: what techniques and the engine must know of a model's shape.

`base` says what every family answers. `_encoder`, `_decoder` and `_encoder_decoder` hold what families of such a shape
share; one file defines one family, with the quirks of its model types. `attention/` holds attention functions, `cut/`
how a model is cut above its frozen stages. Plugins add families through the entry points `tunebench.families`.
"""

import functools
import sys

from tunebench._util.registry import subclasses_in
from tunebench.families.base import Family


@functools.cache
def families() -> dict[str, Family]:
    """Every family by its name."""
    classes: dict[str, type[Family]] = subclasses_in(sys.modules[__name__], Family, "tunebench.families")
    return {name: cls() for name, cls in classes.items()}


def family_of(model_type: str) -> Family | None:
    """The family that loads a transformers `model_type`, or None."""
    return next((family for family in families().values() if model_type in family.model_types), None)
