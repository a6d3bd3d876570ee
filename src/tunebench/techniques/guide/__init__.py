"""Guides to the techniques: equations, counts in closed form, when to use which.

One YAML file per technique. `tunebench show` prints them, and the pages of `docs/techniques/` include them.
"""

import functools
from typing import Any

import yaml
from pydantic import Field

from tunebench._util import documents
from tunebench._util.base import Strict


class Count(Strict):
    """The number of trainable parameters of a model, with the technique's defaults."""

    form: str = Field(
        description="a function of the technique's settings and the model's shape: hidden, layers, inner, ..."
    )
    trained: int
    head: bool = Field(False, description="whether these are the head's, which other counts exclude")


class Guide(Strict):
    """A technique as a colleague would explain it.

    Attributes:
        equations: in plain text.
        counts: by the name of a model whose shape is known offline.
        use: when to take it.
        leave: when to avoid it.
        forgets: what it promises of what the pretrained model knew; empty for a baseline, which tunes none.
        notes: what our studies measured, in Markdown, with links relative to `docs/techniques/`.
        example: settings for the counts, if some are required.
    """

    equations: str
    counts: dict[str, Count] = {}
    use: tuple[str, ...]
    leave: tuple[str, ...]
    forgets: str = ""
    notes: tuple[str, ...] = ()
    example: dict[str, Any] = {}


@functools.cache
def guides() -> dict[str, Guide]:
    """Every technique's guide by the technique's name."""
    return {
        name: Guide.model_validate(yaml.safe_load(text)) for name, text in documents.shipped("techniques/guide").items()
    }
