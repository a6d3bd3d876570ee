"""What a study's models are called, and which of them are folders."""

import os
from pathlib import Path


def model_name(model: str) -> str:
    """What a study's model is called: its name as written, or the folder's name where that is a path.

    A path begins with `/`, `~`, `./` or `../`. A name such as `models/bert` stays as it is, whether or not there is
    such a folder here: the name must be the same on every machine.
    """
    return Path(absolute(model)).name or model if is_path(model) else model


def is_path(model: str) -> bool:
    """Whether a study gives a model as a folder."""
    return model in (".", "..", "~") or model.startswith(("./", "../", "~/")) or Path(model).is_absolute()


def absolute(path: str) -> str:
    """The path from the root; links are not followed, as a link's own name counts."""
    return os.path.normpath(Path(path).expanduser().absolute())


def located(model: str) -> str:
    """What two models with one name differ in, where they are two: the folder, or else the name as written."""
    return absolute(model) if is_path(model) else model
