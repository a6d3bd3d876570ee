"""The content of sections as data: every format renders these blocks and knows no section.

A new kind of block is a class here, a macro of its name in `templates/blocks.html.j2`, and a case in
`formats/markdown.py`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tunebench.evaluation.choice import Option
from tunebench.report.charts.base import Chart
from tunebench.report.charts.pictures import Picture

BEST = "★"
USED = "✔"
Style = Literal["plain", "fine", "warning"]


@dataclass(frozen=True)
class Column:
    """A column; numeric ones are right aligned. A page shows those that are not usual when a reader asks for them."""

    title: str
    numeric: bool = True
    note: str = ""
    usual: bool = True


@dataclass(frozen=True)
class TableEntry:
    """One field.

    Attributes:
        text: what it says.
        note: in smaller print.
        best: whether it is marked as the best.
        span: the number of columns that it spans.
        order: its sort key, if the text is not a bare number.
        shade: 0 to 1: colours it.
        use: whether its technique is recommended; None: it stands for no technique.
        choice: the anchor of a card, and the number of the technique in it.
        labels: what a page lets a reader filter rows by.
    """

    text: str
    note: str = ""
    best: bool = False
    span: int = 1
    order: float | None = None
    shade: float | None = None
    use: bool | None = None
    choice: tuple[str, int] | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table; the first entry of a row names the row. A row may end early with an entry that spans the rest.

    Attributes:
        fixed: the order of rows has a meaning (a matrix, texts below their reference), so they are not sortable.
        paper: whether it belongs in a paper, so that the LaTeX format includes it.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    fixed: bool = False
    paper: bool = False


@dataclass(frozen=True)
class Heading:
    """A heading inside a section; `code` sets it in the typeface of code."""

    text: str
    code: bool = False
    anchor: str = ""


@dataclass(frozen=True)
class Text:
    """One paragraph; `link` is the anchor and the title of a section that it refers to."""

    text: str
    style: Style = "plain"
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Item:
    """One point of a list, with a smaller note."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[Item, ...]
    style: Style = "plain"


@dataclass(frozen=True)
class Code:
    """A text to be shown verbatim."""

    text: str
    name: str
    language: str = ""


@dataclass(frozen=True)
class Charts:
    """Charts of one comparison, not yet drawn."""

    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Pictures:
    """The same, drawn."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class CardChoice:
    """A technique as a card recommends it: "Use", its title, and what follows the colon.

    Attributes:
        rest: how good it is, how it compares, and what it costs; a page begins a line with each.
        option: what the rule of the card asks.
        costs: by what a reader may want to save.
    """

    label: str
    title: str
    lead: str
    rest: tuple[str, ...]
    option: Option
    costs: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence."""
        return f"{self.lead} {self.title}: {self.words}"

    @property
    def words(self) -> str:
        """What follows the colon."""
        return f"{', '.join(self.rest)}."

    @property
    def lines(self) -> list[str]:
        """The same, part by part."""
        return [f"{part}{'.' if number == len(self.rest) else ','}" for number, part in enumerate(self.rest, 1)]


@dataclass(frozen=True)
class Card:
    """The decision on one task with one model.

    Attributes:
        where: task and model.
        choices: the techniques that could be recommended, best first.
        chosen: the number of the one that is; None: none is.
        none: what is said where none is.
        doubt: how sure that is.
        noises: by cost, the relative difference that means nothing.
        anchor: of the section on this comparison.
        picture: quality against cost; none without a score.
    """

    where: str
    choices: tuple[CardChoice, ...]
    chosen: int | None
    none: str
    doubt: str = ""
    noises: Mapping[str, float] = field(default_factory=dict)
    anchor: str = ""
    picture: "Block" = Charts(())

    @property
    def choice(self) -> CardChoice | None:
        """What is recommended."""
        return None if self.chosen is None else self.choices[self.chosen]

    @property
    def text(self) -> str:
        """The recommendation, or why there is none."""
        return self.choice.text if self.choice else self.none


@dataclass(frozen=True)
class Cards:
    """The decisions of a study.

    Attributes:
        rule: with {spared} and {points} for what a reader wants to save, and may lose for that.
        spared: what it is without his word.
        accepted: points.
    """

    cards: tuple[Card, ...]
    rule: str
    spared: str
    accepted: float

    @property
    def chosen(self) -> bool:
        """Whether any card has a choice between techniques."""
        return any(len(card.choices) > 1 for card in self.cards)

    @property
    def text(self) -> str:
        """The rule."""
        points = f"{self.accepted:g} point{'' if self.accepted == 1 else 's'}"
        return self.rule.format(spared=self.spared, points=points)


@dataclass(frozen=True)
class Columns:
    """Parts that stand side by side where a page is wide enough."""

    parts: "tuple[tuple[Block, ...], ...]"


@dataclass(frozen=True)
class Details:
    """A table behind a click on its caption, or a text behind a click on its name."""

    shown: Table | Code

    @property
    def summary(self) -> str:
        """What is clicked on."""
        return self.shown.caption if isinstance(self.shown, Table) else self.shown.name


@dataclass(frozen=True)
class PageOnly:
    """What only the page shows: other formats leave it out, as they have no clicks and no scripts."""

    blocks: "tuple[Block, ...]"


@dataclass(frozen=True)
class Section:
    """A titled part of the report; `short` is its title in the table of contents."""

    anchor: str
    title: str
    blocks: "tuple[Block, ...]"
    short: str = ""

    @property
    def parts(self) -> "list[Section]":
        """The sections inside."""
        return [block for block in self.blocks if isinstance(block, Section)]

    @property
    def linked(self) -> "tuple[Block, ...]":
        """Its blocks, with an anchor for each heading."""
        places: Counter[str] = Counter()

        def anchored(block: Block) -> Block:
            if not isinstance(block, Heading):
                return block
            name = re.sub(r"[^a-z0-9]+", "-", block.text.lower()).strip("-")
            places[name] += 1
            return replace(block, anchor=f"{self.anchor}--{name}{places[name] if places[name] > 1 else ''}")

        return tuple(map(anchored, self.blocks))


Block = Table | Heading | Text | Items | Code | Charts | Pictures | Cards | Columns | Details | PageOnly | Section


@dataclass(frozen=True)
class Report:
    """The whole report: a study's name, how its runs ended, and all sections in their order."""

    study: str
    progress: str
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> list[Picture]:
        """All pictures, in their order."""
        blocks = walk(self.sections)
        return [picture for block in blocks if isinstance(block, Pictures) for picture in block.pictures]


def walk(blocks: Sequence[Block]) -> Iterator[Block]:
    """Every block that all formats show openly, with the blocks inside it, in reading order."""
    for block in blocks:
        yield block
        if isinstance(block, Section):
            yield from walk(block.blocks)
        elif isinstance(block, Columns):
            for part in block.parts:
                yield from walk(part)
        elif isinstance(block, Cards):
            yield from (card.picture for card in block.cards)


def table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[TableEntry | str]], *, fixed: bool = False
) -> Table:
    """A table whose plain strings become entries."""
    entries = [tuple(TableEntry(entry) if isinstance(entry, str) else entry for entry in row) for row in rows]
    return Table(caption, tuple(columns), tuple(entries), fixed)


def usual(shown: Table) -> Table:
    """The table with its usual columns, as a page shows it at first."""
    return _with_columns(shown, [place for place, column in enumerate(shown.columns) if column.usual])


def others(shown: Table) -> Table | None:
    """Its first column and those that are not usual, without rows that have nothing in them; None where all are."""
    places = [place for place, column in enumerate(shown.columns) if not column.usual]
    if not places:
        return None
    whole = replace(shown, rows=tuple(row for row in shown.rows if len(row) == len(shown.columns)))
    return replace(_with_columns(whole, [0, *places]), caption=f"{shown.caption}, other columns")


def _with_columns(shown: Table, places: Sequence[int]) -> Table:
    """Some columns; an entry that spans several ends its row."""

    def row_of(row: tuple[TableEntry, ...]) -> tuple[TableEntry, ...]:
        if len(row) == len(shown.columns):
            return tuple(row[place] for place in places)
        *first, last = row
        kept = [first[place] for place in places if place < len(first)]
        return (*kept, replace(last, span=len(places) - len(kept)))

    return replace(shown, columns=tuple(shown.columns[place] for place in places), rows=tuple(map(row_of, shown.rows)))


def for_paper(shown: Table) -> Table:
    """The table, to be in LaTeX too."""
    return replace(shown, paper=True)


def items(sentences: Sequence[str], style: Style = "plain") -> Items:
    """A list of plain sentences."""
    return Items(tuple(map(Item, sentences)), style)
