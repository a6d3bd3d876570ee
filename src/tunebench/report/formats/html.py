"""The report as one self-contained HTML page."""

import base64
import functools
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from math import isfinite
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunebench._util.palette import PALETTE
from tunebench._util.visible import as_json, escaped, escaped_within
from tunebench.report.blocks import BEST, USED, Block, Card, Columns, Details, PageOnly, Report, Section, Table
from tunebench.report.read.costs import SPARED

_MANY_ROWS = 2000
"""Of a page with more rows a browser lays out only what is near: a reader of 1,000 runs would wait for the others."""


def html(report: Report, vega_embed: str | None) -> str:
    """One page. Every text is escaped, and only the page's own scripts may run.

    Args:
        report: what it shows.
        vega_embed: the script that draws its charts, if there is one.
    """
    own = resources.files("tunebench.report").joinpath("templates/report.js").read_text("utf-8")
    scripts = [vega_embed, own] if vega_embed else [own]
    undrawn = bool(report.pictures) and vega_embed is None
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        scripts=list(map(Markup, scripts)),
        policy=_policy(scripts),
        undrawn=undrawn,
        long=_rows(report.sections) > _MANY_ROWS,
    )


def _rows(blocks: Sequence[Block]) -> int:
    """The rows of all tables, folded ones too."""
    inside = [
        block.blocks
        if isinstance(block, Section | PageOnly)
        else [one for part in block.parts for one in part]
        if isinstance(block, Columns)
        else [block.shown]
        for block in blocks
        if isinstance(block, Section | PageOnly | Columns | Details)
    ]
    return sum(len(block.rows) for block in blocks if isinstance(block, Table)) + sum(map(_rows, inside))


@functools.cache
def environment() -> Environment:
    """Templates that escape every text and can show any block."""
    made = Environment(
        loader=PackageLoader("tunebench.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    made.globals |= {"show": show, "runs": _runs, "best": BEST, "used": USED, "options": _options, "classes": _classes}
    made.globals["palette"] = PALETTE
    made.globals["labels"] = lambda entry: as_json(entry.labels)
    return made


def _visible(value: Any) -> Any:
    """Text of the study with its control characters shown; markup as it is."""
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _macros() -> Any:
    return environment().get_template("blocks.html.j2").module


def show(block: Block, level: int = 2) -> Markup:
    """One block, by the macro of its name; `level` is that of a section's heading."""
    return getattr(_macros(), type(block).__name__.lower())(block, level)


def _runs(blocks: Sequence[Block]) -> Iterator[tuple[bool, list[Block]]]:
    """Groups of blocks in order; consecutive tables form one group, shown side by side."""
    for tables, run in itertools.groupby(blocks, key=lambda block: isinstance(block, Table)):
        yield tables, list(run)


def _classes(names: Mapping[str, bool]) -> Markup:
    """An attribute of those that apply."""
    wanted = " ".join(name for name, applies in names.items() if applies)
    return Markup(f' class="{wanted}"' if wanted else "")


def _options(card: Card) -> Markup:
    """What the page's script asks the rule, as JSON that cannot close its script element."""
    choices = [
        {
            "label": one.label,
            "lead": one.lead,
            "title": one.title,
            "lines": one.lines,
            "loss": one.option.loss,
            "tied": one.option.tied,
            "most": one.option.most if isfinite(one.option.most) else None,
            "costs": one.costs,
        }
        for one in card.choices
    ]
    views = {name: price.title.lower() for name, price in SPARED.items()}
    content = {"choices": choices, "noises": card.noises, "views": views, "none": card.none}
    return Markup(as_json(escaped_within(content)).replace("<", "\\u003c"))


def _policy(scripts: list[str]) -> str:
    """A policy without requests and with only these scripts, so that text from the study can never run."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
