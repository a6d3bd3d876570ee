"""Maps as images: one transparent pixel per pair of tokens; its opacity is the square root of the weight.

Weights are dark. Differences are orange (more attention than untuned) or blue (less), which colour-blind readers can
distinguish.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tunebench._util.visible import escaped
from tunebench.serve.attention.reading import Token

INK, MORE, LESS = (11, 37, 69), (194, 80, 10), (25, 90, 190)
_LEVELS = 127  # of opacity on either side of zero
_LABEL = 16  # characters of a token that a label shows
_MINUS = "\u2212"
_GAP = 12  # pixels between two labels at least


def picture(values: np.ndarray, signed: bool = False, zoom: int = 1) -> str:
    """A PNG as a data URL: (queries, keys) of weights in 0..1, or of differences in -1..1; NaN is transparent.

    Opacity is the square root of the value, so that small weights are visible; all maps share one scale. `zoom`
    repeats pixels, for programs that would blur them.
    """
    strength = np.rint(_LEVELS * np.sqrt(np.minimum(np.abs(np.nan_to_num(values)), 1))).astype(np.uint8)
    levels = np.where(np.nan_to_num(values) < 0, strength + 128, strength).astype(np.uint8)
    image = Image.fromarray(levels.repeat(zoom, 0).repeat(zoom, 1))
    above = MORE if signed else INK
    image.putpalette([*above * 128, *LESS * 128])
    buffer = io.BytesIO()
    opacities = bytes(round(255 * level / _LEVELS) for level in range(128))
    image.save(buffer, "PNG", transparency=opacities * 2, optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@dataclass(frozen=True)
class Scale:
    """The legend of the colours: an image, and labels placed from 0 (left) to 1 (right)."""

    title: str
    image: str
    ticks: tuple[tuple[float, str], ...]


def scale(signed: bool) -> Scale:
    """The scale of weights, or of differences."""
    ramp = np.linspace(-1 if signed else 0, 1, 2 * _LEVELS + 1)[None]
    image = picture(ramp * np.abs(ramp), signed)
    if not signed:
        values = (0, 0.01, 0.1, 0.25, 0.5, 1)
        return Scale("Weight (square-root scale)", image, tuple((value**0.5, f"{value:g}") for value in values))
    values = (-1, -0.5, -0.1, 0, 0.1, 0.5, 1)
    places = [(1 + np.sign(value) * abs(value) ** 0.5) / 2 for value in values]
    labels = [f"{value:+g}".replace("-", _MINUS) if value else "0" for value in values]
    title = "Difference, tuned minus untuned (square-root scale)"
    return Scale(title, image, tuple(zip(places, labels, strict=True)))


@dataclass(frozen=True)
class Label:
    """A token beside a map, `at` pixels from the map's corner."""

    text: str
    at: float
    role: str


@dataclass(frozen=True)
class Canvas:
    """The layout of a map and its labels, in pixels.

    Attributes:
        left, top: the upper left corner of the map; its labels are left of it and above.
        width, height: of the map.
        font: size of the labels.
        rows, columns: labels.
        added: (x, y, width, height) of the rectangles that hold virtual tokens.
    """

    left: float
    top: float
    width: float
    height: float
    font: float
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    added: tuple[tuple[float, float, float, float], ...]


def canvas(queries: Sequence[Token], keys: Sequence[Token]) -> Canvas:
    """The layout of a map of these tokens. Of very many tokens only some are labelled, with their position."""
    most = max(len(queries), len(keys))
    cell = 24.0 if most <= 12 else 18.0 if most <= 28 else 13.0 if most <= 96 else max(1.0, 832 / most)
    font = min(12.0, max(cell - 2, 9.0))
    rows, columns = _labels(queries, cell), _labels(keys, cell)
    margins = [9 + 0.62 * font * max(len(label.text) for label in side) for side in (rows, columns)]
    left, top = margins
    width, height = cell * len(keys), cell * len(queries)
    added = [(left + cell * first, top, cell * count, height) for first, count in _runs(keys)] + [
        (left, top + cell * first, width, cell * count) for first, count in _runs(queries)
    ]
    return Canvas(left, top, width, height, font, rows, columns, tuple(added))


def _labels(tokens: Sequence[Token], cell: float) -> tuple[Label, ...]:
    step = max(1, round(_GAP / cell))
    return tuple(
        Label(_short(token.text if step == 1 else f"{place + 1} {token.text}"), (place + 0.5) * cell, token.role)
        for place, token in enumerate(tokens)
        if place % step == 0
    )


def _short(text: str) -> str:
    visible = escaped(text)
    return visible if len(visible) <= _LABEL else visible[: _LABEL - 1] + "…"


def _runs(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """(first position, number) of the virtual tokens, which are adjacent; empty without any."""
    virtual = [place for place, token in enumerate(tokens) if token.role == "virtual"]
    return [(virtual[0], len(virtual))] if virtual else []
