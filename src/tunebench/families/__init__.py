"""Model families: what techniques and the engine must know of a model's shape.

`base` says what every family answers. `_encoder`, `_decoder` and `_encoder_decoder` hold what families of such a shape
share; one file defines one family, with the quirks of its model types. `attention/` holds attention functions, `cut/`
how a model is cut above its frozen stages. Plugins add families through the entry points `tunebench.families`.
"""

import functools
import json
import sys
from collections.abc import Mapping
from typing import Any

from tunebench._util.registry import subclasses_in
from tunebench.families.base import Family


@functools.cache
def families() -> dict[str, Family]:
    """Every family by its name."""
    classes: dict[str, type[Family]] = subclasses_in(sys.modules[__name__], Family, "tunebench.families")
    return {name: cls() for name, cls in classes.items()}


def family_of(config: Mapping[str, Any]) -> Family | None:
    """The family that loads a model with this `config.json`, or None.

    A family that names the `model_type` goes before those that find a model's parts by looking at it.
    """
    kind = config["model_type"]
    named = next((family for family in families().values() if kind in family.model_types), None)
    return named.bound(config) if named else _by_shape(kind, json.dumps(config, sort_keys=True, default=str))


@functools.lru_cache(maxsize=64)
def _by_shape(kind: str, config: str) -> Family | None:
    from tunebench.families.structure.types import shape_of

    shape = shape_of(kind)
    return families()[shape.replace("-", "_")].bound(json.loads(config)) if shape else None
