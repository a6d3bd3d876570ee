"""Attention maps as a page, as figures, and as arrays."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from safetensors.numpy import save

from tunebench._util.errors import UserError
from tunebench._util.files import write_atomically
from tunebench._util.visible import escaped, escaped_within
from tunebench.serve.attention import drawing
from tunebench.serve.attention.drawing import picture
from tunebench.serve.attention.maps import Attention, Map

HEADS_UP_TO = 64
"""The page shows every head up to this number of tokens; of longer texts it shows the mean of each layer's heads."""

_TITLES = {"self": "Self-attention", "masked": "Masked self-attention", "cross": "Cross-attention"}
_MEANINGS = {
    "self": "Every token attends to the whole text.",
    "masked": "Every token attends to itself and to the tokens before it.",
    "cross": "Every token of the decoder attends to the tokens of the encoder.",
}
_ZOOM = 8  # of images in SVG files


@dataclass(frozen=True)
class View:
    """One kind of attention as the page shows it.

    Attributes:
        tokens: queries and keys as JSON.
        columns: the names of a layer's maps: its heads and their mean, or only the mean.
        figures: tuned, untuned and difference -> per layer its maps, (queries, keys) each.
    """

    kind: str
    title: str
    meaning: str
    tokens: str
    columns: list[str]
    figures: dict[str, list[list[np.ndarray]]]
    canvas: drawing.Canvas


def write(attention: Attention, folder: Path) -> Path:
    """Write the page, two figures per kind, the weights and their tokens into a folder, and return the page's path.

    Raises:
        UserError: the folder cannot be written.
    """
    views = [_view(shown) for shown in attention.maps.values()]
    environment = _environment()
    files = {"attention.html": html(attention).encode(), "attention.safetensors": _arrays(attention)}
    for view in views:
        for name in ("heads", "layers"):
            drawn = environment.get_template(f"{name}.svg.j2").render(view=view, picture=partial(picture, zoom=_ZOOM))
            files[f"{view.kind}-{name}.svg"] = drawn.encode()
    files["attention.json"] = json.dumps(_described(attention), indent=1, ensure_ascii=False).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise UserError(f"--out {folder}: it cannot be written ({error.strerror}). Choose another folder.") from error
    return folder / "attention.html"


def html(attention: Attention) -> str:
    """One self-contained page. Every text is escaped, and only the page's own script may run."""
    template = _environment().get_template("attention.html.j2")
    script = resources.files("tunebench.serve.attention").joinpath("templates/attention.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(
        attention=attention,
        views=[_view(shown) for shown in attention.maps.values()],
        picture=picture,
        script=script,
        digest=digest,
        heads_up_to=HEADS_UP_TO,
        unmoved=_unmoved(attention.maps),
        scales=[drawing.scale(False), drawing.scale(True)],
    )


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tunebench.serve.attention"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )


def _visible(value: Any) -> Any:
    """A text on its way into a page or a figure, with marks of direction shown; what is markup already stays."""
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _view(shown: Map) -> View:
    longest = max(sum(token.role != "virtual" for token in side) for side in (shown.queries, shown.keys))
    heads = range(shown.tuned.shape[1]) if longest <= HEADS_UP_TO else []
    figures = {
        name: [[*(layer[head] for head in heads), layer.mean(0)] for layer in values]
        for name, values in (("tuned", shown.tuned), ("untuned", shown.untuned), ("difference", shown.difference))
    }
    columns = [*(f"head {head + 1}" for head in heads), "mean of heads"]
    return View(
        shown.kind,
        _TITLES[shown.kind],
        _MEANINGS[shown.kind],
        json.dumps(escaped_within(_tokens(shown))),
        columns,
        figures,
        drawing.canvas(shown.queries, shown.keys),
    )


def _tokens(shown: Map) -> dict[str, list[dict[str, str]]]:
    return {side: [vars(token) for token in getattr(shown, side)] for side in ("queries", "keys")}


def _unmoved(maps: Mapping[Any, Map]) -> bool:
    return all(one.tuned.shape == one.backbone.shape and (one.difference == 0).all() for one in maps.values())


def _arrays(attention: Attention) -> bytes:
    maps = attention.maps.items()
    tensors = {f"{kind}.tuned": np.ascontiguousarray(one.tuned) for kind, one in maps}
    return save(tensors | {f"{kind}.untuned": np.ascontiguousarray(one.untuned) for kind, one in maps})


def _described(attention: Attention) -> dict[str, Any]:
    """What the arrays hold, for attention.json."""
    shape = (
        "(layers, heads, queries, keys) of each <kind>.tuned and <kind>.untuned; NaN at virtual tokens of the latter"
    )
    return {
        "run": attention.run,
        "text": attention.text,
        "pair": attention.pair,
        "answer": attention.answer,
        "computed": dict(attention.computed),
        "arrays": shape,
        "tokens": {kind: _tokens(one) for kind, one in attention.maps.items()},
    }
