"""What all charts share: Vega-Lite as data, and one look per technique.

One specification becomes the interactive chart in the page and the picture for print, papers and browsers without
scripts. Colours are those of Okabe and Ito (2008), which colour-blind readers can distinguish; shapes and dashes repeat
the distinction. Black becomes the page's text colour, so that charts are readable on dark pages and on paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunebench.report.read.comparisons import Comparison

_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "currentColor")
_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])
GREY = "#888888"
FIELD = "technique"

Spec = dict[str, Any]
Looks = Mapping[str, tuple[str, str, Sequence[int]]]  # by label: colour, shape, dash


@dataclass(frozen=True)
class Chart:
    """One figure with one or several views (such as one per cost); the first view is also drawn for print.

    Attributes:
        name: short, for file names.
        title: the caption, also for screen readers.
        views: name -> Vega-Lite without size, data and the shared configuration.
        rows: the data of all views.
        note: what the figure leaves out.
        choice: the label of the menu of views.
    """

    name: str
    title: str
    views: dict[str, Spec]
    rows: list[dict[str, Any]]
    note: str = ""
    choice: str = "Show"


def looks(labels: Sequence[str]) -> Looks:
    """A look for each technique, the same in every chart of a report."""
    return {
        label: (
            _PALETTE[index % len(_PALETTE)],
            _SHAPES[index % len(_SHAPES)],
            _DASHES[index // len(_PALETTE) % len(_DASHES)],
        )
        for index, label in enumerate(dict.fromkeys(labels))
    }


PICK: Spec = {"name": "pick", "select": {"type": "point", "fields": [FIELD]}, "bind": "legend"}
ZOOM: Spec = {
    "name": "zoom",
    "select": {  # with Shift, so that the wheel still scrolls the page over a chart
        "type": "interval",
        "zoom": "wheel![event.shiftKey]",
        "translate": "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    },
    "bind": "scales",
}
SINGLED_OUT: Spec = {"condition": {"param": "pick", "value": 1}, "value": 0.15}


def color_of(labels: Sequence[str], look: Looks) -> Spec:
    """Each technique's colour, as an encoding."""
    return _scaled(labels, [look[label][0] for label in labels])


def shape_of(labels: Sequence[str], look: Looks) -> Spec:
    """Its shape."""
    return _scaled(labels, [look[label][1] for label in labels])


def dash_of(labels: Sequence[str], look: Looks) -> Spec:
    """The dash of its lines."""
    return _scaled(labels, [list(look[label][2]) for label in labels])


def _scaled(labels: Sequence[str], values: list[Any]) -> Spec:
    return {"field": FIELD, "type": "nominal", "title": None, "scale": {"domain": list(labels), "range": values}}


def where(comparison: Comparison) -> str:
    """The comparison in a title."""
    return f"{comparison.task} with {comparison.model}"
