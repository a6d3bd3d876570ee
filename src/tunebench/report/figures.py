"""Figures as SVG text: learning curves, and quality against cost. Same numbers, same bytes.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; markers and dashes say the same again.
Black becomes the page's own text colour, so that a figure can be read on a dark page and on paper.
"""

import io
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tunebench.report import text
from tunebench.report.comparisons import Comparison, Row
from tunebench.result import Done

_INK = "#010203"  # stands for the page's text colour, and is no colour of the palette
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", _INK)
_MARKERS = "osD^vPX*"
_DASHES = ("-", "--", "-.", ":")
_RC: dict[Any, Any] = {
    "svg.hashsalt": "tunebench",  # without it, ids are random
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.parse_math": False,  # a label such as $5 is no formula
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#888888",
    "grid.alpha": 0.25,
    "axes.formatter.useoffset": False,
}
_WIDTH, _HEIGHT, _LEGEND_LINE = 4.8, 3.0, 0.2  # inches
_GROUP_ID = re.compile(r'<g id="[^"]*">')
_INK_USE = re.compile(rf"(fill|stroke): {_INK}")


@dataclass(frozen=True)
class Drawing:
    """One figure: its title and its SVG."""

    title: str
    svg: Markup


Styles = Mapping[str, Mapping[str, Any]]  # by label: keywords of a line


def styles(labels: Sequence[str]) -> Styles:
    """A look for each technique, the same in every figure of a report."""
    return {
        label: {
            "color": _PALETTE[index % len(_PALETTE)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "linestyle": _DASHES[index // len(_PALETTE) % len(_DASHES)],
        }
        for index, label in enumerate(dict.fromkeys(labels))
    }


def drawings(comparison: Comparison, looks: Styles) -> list[Drawing]:
    """The figures of one comparison; none for what was not measured."""
    if comparison.main is None:
        return []
    name = comparison.main[0]
    where = f"{comparison.task} with {comparison.model}"
    metric = text.metric_title(name)
    with matplotlib.rc_context(_RC):
        found = [
            _curves(f"Validation {metric} by epoch: {where}", f"Validation {text.metric_axis(name)}", comparison, looks,
                    lambda result: [epoch.validation.get(name) for epoch in result.history],
                    lambda result: result.metrics.validation.get(name)),
            _curves(f"Training loss by epoch: {where}", "Training loss (mean of the epoch)", comparison, looks,
                    lambda result: [epoch.train_loss for epoch in result.history], lambda result: None),
            _costs(f"{metric} against trainable parameters: {where}", "Trainable parameters (count, log scale)",
                   comparison, looks, lambda row: row.parameters.trainable if row.parameters else None),
            _costs(f"{metric} against tuning time: {where}", "Prefix and training (seconds, log scale)",
                   comparison, looks, lambda row: row.train_seconds),
        ]  # fmt: skip
    return [drawing for drawing in found if drawing is not None]


def _curves(
    title: str,
    axis: str,
    comparison: Comparison,
    looks: Styles,
    of: Callable[[Done], list[float | None]],
    level: Callable[[Done], float | None],
) -> Drawing | None:
    """One line a run, so that seeds stay seen; a ring marks the best epoch, a gap an undefined value.

    A run without epochs is a dotted level.
    """
    figure, axes = _canvas("Epoch (passes over the training data)", axis)
    drawn: dict[str, Line2D] = {}
    curved = False
    for row in comparison.rows:
        for result in row.done:
            values = of(result)
            if not values and (height := level(result)) is not None:
                drawn.setdefault(row.label, _level(axes, height, looks[row.label]))
            if all(value is None for value in values):
                continue
            curved = True
            epochs = [epoch.epoch for epoch in result.history]
            heights = [float("nan") if value is None else value for value in values]
            (line,) = axes.plot(epochs, heights, markersize=4, linewidth=1.4, **looks[row.label])
            drawn.setdefault(row.label, line)
            if result.best_epoch in epochs:
                height = heights[epochs.index(result.best_epoch)]
                axes.plot([result.best_epoch], [height], "o", markersize=9, fillstyle="none", color=_INK)
    if not curved:
        return None
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finish(figure, title, drawn)


def _costs(
    title: str, axis: str, comparison: Comparison, looks: Styles, of: Callable[[Row], float | None]
) -> Drawing | None:
    """One point a technique with its interval; what costs nothing has no place on a log axis and becomes a line."""
    name, _, split = comparison.main or ("", True, "")
    figure, axes = _canvas(axis, f"{split.capitalize()} {text.metric_axis(name)}")
    drawn: dict[str, Line2D] = {}
    placed = False
    for row in comparison.rows:
        score, cost = comparison.main_score(row), of(row)
        if score.mean is None or cost is None:
            continue
        look = looks[row.label]
        if cost <= 0:
            drawn[row.label] = _level(axes, score.mean, look)
            continue
        placed = True
        low, high = score.interval or (score.mean, score.mean)
        # A percentile interval need not contain the value itself: its ends are drawn where they are.
        axes.plot([cost, cost], [low, high], "-", marker="_", markersize=7, linewidth=1.2, color=look["color"])
        (drawn[row.label],) = axes.plot([cost], [score.mean], markersize=7, **{**look, "linestyle": "none"})
    if not placed:
        return None
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    # Few decades need ticks between them. Plain text, for powers of ten would be set as formulas, which are off here.
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 50 else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text.tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return _finish(figure, title, drawn)


def _level(axes: Axes, height: float, look: Mapping[str, Any]) -> Line2D:
    return axes.axhline(height, linewidth=1.4, markersize=5, clip_on=False, **{**look, "linestyle": ":"})


def _canvas(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(textwrap.fill(y, 36))
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Figure, title: str, drawn: Mapping[str, Line2D]) -> Drawing:
    """The legend stands below, so that it covers no point."""
    labels = list(drawn)
    columns = 2 if max(map(len, labels)) <= 24 else 1
    extra = _LEGEND_LINE * -(-len(labels) // columns)
    height = _HEIGHT + extra
    figure.set_size_inches(_WIDTH, height)
    figure.subplots_adjust(left=0.18, right=0.97, top=1 - 0.12 / height, bottom=(0.6 + extra) / height)
    shown = [text.one_line(label, 48) for label in labels]
    figure.legend(list(drawn.values()), shown, loc="lower center", ncol=columns, frameon=False, fontsize=9, borderpad=0)
    return Drawing(title, _inline(figure, title))


def _inline(figure: Figure, title: str) -> Markup:
    """The SVG as part of a page: named for screen readers, without ids that would repeat, without its prolog."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = _INK_USE.sub(r"\1: currentColor", _GROUP_ID.sub("<g>", svg))
    opening = f'<svg role="img" aria-label="{escape(title)}"'
    return Markup(svg.replace("<svg", opening, 1).replace(">", f"><title>{escape(title)}</title>", 1))
