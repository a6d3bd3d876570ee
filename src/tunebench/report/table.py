"""Tables as data: the same rows become HTML, Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

BEST = "★"


@dataclass(frozen=True)
class Column:
    """A column; numeric ones are right aligned."""

    title: str
    numeric: bool = True
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One field: a text, a smaller note, the mark of the best, and how many columns it takes.

    `order` is the number that it is sorted by, where the text is no bare number; `shade` (0 to 1) colours it.
    """

    text: str
    note: str = ""
    best: bool = False
    span: int = 1
    order: float | None = None
    shade: float | None = None


@dataclass(frozen=True)
class Table:
    """A table; the first entry of a row names the row. A row may end early with an entry that spans the rest.

    The order of a `fixed` table says something (a matrix, texts beside their reference): it is not for sorting.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    fixed: bool = False


def table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Entry | str]], *, fixed: bool = False
) -> Table:
    """A table whose plain strings become entries."""
    entries = [tuple(Entry(entry) if isinstance(entry, str) else entry for entry in row) for row in rows]
    return Table(caption, tuple(columns), tuple(entries), fixed)
