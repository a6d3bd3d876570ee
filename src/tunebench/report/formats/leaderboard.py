"""The leaderboard of each comparison for a terminal: a few columns of the report's table, and its card."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunebench.report.blocks import Block, Cards, Column, Report, Section, Table, TableEntry, walk

_COSTS = ("Verdict", "Trainable parameters", "Train")


@dataclass(frozen=True)
class Leaderboard:
    """One comparison, best technique first.

    Attributes:
        title: its task and its model.
        header: technique, main metric, and of verdict, trainable parameters and training time what the report has.
        rows: one per technique; one without figures says why in its second cell.
        conclusion: what to use.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    conclusion: str


def leaderboards(report: Report) -> list[Leaderboard]:
    """In the order of the report."""
    shown = [block for block in walk(report.sections) if isinstance(block, Cards)]
    conclusions = {card.anchor: card.text for block in shown for card in block.cards}
    return [*_boards(report.sections, conclusions)]


def _boards(blocks: tuple[Block, ...], conclusions: Mapping[str, str]) -> Iterator[Leaderboard]:
    for section in walk(blocks):
        if isinstance(section, Section) and section.anchor.startswith("comparison-"):
            table = next(block for block in section.blocks if isinstance(block, Table))
            shown = [0, 1, *(at for at, column in enumerate(table.columns) if column.title in _COSTS)]
            rows = [[_cell(row, at) for at in shown] for row in table.rows]
            header = [_title(table.columns[at]) for at in shown]
            yield Leaderboard(section.title, header, rows, conclusions[section.anchor])


def _title(column: Column) -> str:
    return f"{column.title} {column.note}".strip()


def _cell(row: tuple[TableEntry, ...], at: int) -> str:
    return row[at].text if at < len(row) else ""
