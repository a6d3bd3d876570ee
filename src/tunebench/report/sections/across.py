"""Techniques by tasks: the main metric and verdict of each, as a heat map, family by family."""

from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.blocks import (
    USED,
    Column,
    Columns,
    Heading,
    Section,
    Table,
    Text,
    for_paper,
    table,
)
from tunebench.report.sections._fields import PALE, Cell, field
from tunebench.report.sections.base import Whole
from tunebench.report.stats.verdicts import SHORT


def sections(whole: Whole) -> list[Section]:
    """One table per family, side by side if the page is wide enough."""
    parts = tuple(
        (Heading(family), for_paper(family_table([(one.comparison, one.tests, one.card) for one in group])))
        for family, group in whole.families.items()
    )
    note = (
        f"{USED} recommended. Verdicts: {', '.join(SHORT.values())}. The darker, the closer to the best score; from "
        f"{PALE:g} points below it on there is no colour. See"
    )
    return [
        Section(
            "across", "Across tasks", (Columns(parts), Text(note, "fine", link=("reading", "How to read the figures")))
        )
    ]


def family_table(group: Sequence[Cell]) -> Table:
    """Technique by task: the main metric of each with its verdict, and which technique is recommended."""
    several = len({comparison.model for comparison, _, _ in group}) > 1
    columns = [Column("Technique", numeric=False)]
    for comparison, _, _ in group:
        title = f"{comparison.task}, {comparison.model}" if several else comparison.task
        columns.append(Column(title, note=text.metric_title(comparison.main[0]) if comparison.main else ""))
    names = {row.label: row.name for comparison, _, _ in group for row in comparison.rows}
    rows = [[name, *(field(cell, label) for cell in group)] for label, name in names.items()]
    once = any(tests is not None and tests.one_run for _, tests, _ in group)
    about = "; verdicts are about these runs" if once else ""
    return table(f"Main metric and verdict of each technique on each task{about}", columns, rows)
