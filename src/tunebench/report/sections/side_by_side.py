"""Studies side by side: what to use, the scores of all techniques, and the tables of each study."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunebench.report import text
from tunebench.report.blocks import USED, Cards, Column, Section, Table, Text, for_paper, table
from tunebench.report.read.costs import SPARED
from tunebench.report.sections._fields import PALE, Cell, field
from tunebench.report.stats.decision import RULE
from tunebench.report.stats.verdicts import SHORT


@dataclass(frozen=True)
class Side:
    """One comparison of one study.

    Attributes:
        study: its name.
        cell: with its tests and its card.
        shown: its techniques with costs.
    """

    study: str
    cell: Cell
    shown: Table


def sections(sides: Sequence[Side], accepted: float) -> Iterator[Section]:
    """Of tasks that two studies or more have; nothing where there is none.

    Args:
        sides: in the order of the studies.
        accepted: points that a recommended technique may lose.
    """
    tasks: dict[str, list[Side]] = {}
    for side in sides:
        tasks.setdefault(side.cell[0].task, []).append(side)
    shared = {task: group for task, group in tasks.items() if len({side.study for side in group}) > 1}
    if not shared:
        return
    cards = tuple(side.cell[2] for group in shared.values() for side in group)
    yield Section(
        "decisions", "What to use, study by study", (Cards(cards, RULE, next(iter(SPARED)), accepted),), "What to use"
    )
    note = (
        f"{USED} recommended in its study. Verdicts compare with the best technique of the same study: "
        f"{', '.join(SHORT.values())}. The darker, the closer to it; from {PALE:g} points below it on there is no "
        "colour."
    )
    tables = [for_paper(_scores(task, group)) for task, group in shared.items()]
    yield Section("scores", "Scores, study by study", (*tables, Text(note, "fine")), "Scores")
    for number, group in enumerate(shared.values(), 1):
        parts = tuple(Section(side.cell[2].anchor, side.cell[2].where, (side.shown,), side.study) for side in group)
        yield Section(f"task-{number}", group[0].cell[0].task, parts)


def _scores(task: str, group: Sequence[Side]) -> Table:
    """Technique by study: the main metric of each, with its verdict in that study."""
    several = len({side.cell[0].model for side in group}) > 1
    columns = [Column("Technique", numeric=False)]
    for side in group:
        comparison = side.cell[0]
        title = f"{side.study}, {comparison.model}" if several else side.study
        columns.append(Column(title, note=text.metric_title(comparison.main[0]) if comparison.main else ""))
    names = {row.label: row.name for side in group for row in side.cell[0].rows}
    rows = [[name, *(field(side.cell, label) for side in group)] for label, name in names.items()]
    return table(f"Main metric and verdict on {task}", columns, rows)
