"""What tunebench ships, all made by itself: a small data set for each task, and pocket backbones.

A data set is generated when it is asked for, from hand-written material and a fixed seed: the same rows everywhere. A
backbone is an ordinary transformers folder, made by `tunebench pretrain` and the recipe of its name; one without
weights is a shape and a tokenizer, to be trained from scratch.
"""

import functools
import importlib
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
DATA = tuple(sorted(path.stem for path in _HERE.glob("*.py") if not path.stem.startswith("_")))
"""Names of the data sets: those of the tasks."""


@functools.cache
def rows(name: str) -> dict[str, list[dict[str, Any]]]:
    """A data set's rows by split: train, validation, test; in the columns of the hub's data set of the task.

    They are generated once per process, and not to be changed.
    """
    return importlib.import_module(f"{__name__}.{name}").rows()


def passages() -> tuple[str, ...]:
    """200 short passages of general English, written for this project: what `measure: [forgetting]` reads."""
    return tuple((_HERE / "material" / "passages.txt").read_text("utf-8").splitlines())


def backbones() -> dict[str, Path]:
    """Name -> folder of the shipped backbones."""
    return {path.parent.name: path.parent for path in sorted(_HERE.glob("models/*/config.json"))}
