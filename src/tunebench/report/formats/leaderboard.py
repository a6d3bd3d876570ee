"""The leaderboard of each comparison for a terminal: a few columns of the report's table, and its first conclusion."""

from collections.abc import Iterator
from dataclasses import dataclass

from tunebench.report.blocks import Block, Items, Report, Section, Table, TableEntry, walk

_COSTS = ("Verdict", "Trainable parameters", "Train")


@dataclass(frozen=True)
class Leaderboard:
    """One comparison, best technique first.

    Attributes:
        title: its task and its model.
        header: technique, main metric, and of verdict, trainable parameters and training time what the report has.
        rows: one per technique; one without figures says why in its second cell.
        conclusion: the report's first sentence on it.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    conclusion: str


def leaderboards(report: Report) -> list[Leaderboard]:
    """In the order of the report."""
    return [*_boards(report.sections)]


def _boards(blocks: tuple[Block, ...]) -> Iterator[Leaderboard]:
    for section in walk(blocks):
        if isinstance(section, Section) and section.anchor.startswith("comparison-"):
            table = next(block for block in section.blocks if isinstance(block, Table))
            conclusion = next(block for block in section.blocks if isinstance(block, Items)).items[0].text
            shown = [0, 1, *(at for at, column in enumerate(table.columns) if column.title in _COSTS)]
            rows = [[_cell(row, at) for at in shown] for row in table.rows]
            yield Leaderboard(section.title, [table.columns[at].title for at in shown], rows, conclusion)


def _cell(row: tuple[TableEntry, ...], at: int) -> str:
    return row[at].text if at < len(row) else ""
