"""Techniques by tasks: the main metric and verdict of each, as a heat map, family by family."""

from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.blocks import (
    USED,
    Card,
    CardChoice,
    Column,
    Columns,
    Heading,
    Section,
    Table,
    TableEntry,
    Text,
    for_paper,
    table,
)
from tunebench.report.read.comparisons import Comparison
from tunebench.report.sections.base import Whole
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import SHORT, judge

_PALE = 10.0
"""Points below the best from which on a field has no colour."""
Cell = tuple[Comparison, Pairs | None, Card]


def sections(whole: Whole) -> list[Section]:
    """One table per family, side by side if the page is wide enough."""
    parts = tuple(
        (Heading(family), for_paper(family_table([(one.comparison, one.tests, one.card) for one in group])))
        for family, group in whole.families.items()
    )
    note = (
        f"{USED} recommended. Verdicts: {', '.join(SHORT.values())}. The darker, the closer to the best score; from "
        f"{_PALE:g} points below it on there is no colour. See"
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
    rows = [[name, *(_field(cell, label) for cell in group)] for label, name in names.items()]
    once = any(tests is not None and tests.one_run for _, tests, _ in group)
    about = "; verdicts are about these runs" if once else ""
    return table(f"Main metric and verdict of each technique on each task{about}", columns, rows)


def _field(cell: Cell, label: str) -> TableEntry:
    comparison, tests, card = cell
    row = next((row for row in comparison.rows if row.label == label), None)
    if row is None:
        return TableEntry(text.ABSENT)
    if not row.done:
        statuses = dict.fromkeys(run.status.replace("_", " ") for run in row.runs)
        return TableEntry(", ".join(statuses) or row.troubles[0].partition(":")[0])
    notes = [SHORT.get(judge(comparison, row, tests) or "", "")]
    notes += [f"{len(row.done)} of {len(row.runs)} seeds"] if len(row.done) < len(row.runs) else []
    mean, words = comparison.main_score(row).mean, ", ".join(filter(None, notes))
    number = next((number for number, choice in enumerate(card.choices) if choice.label == label), None)
    if number is None:
        return TableEntry(text.score(mean), words, order=mean)
    shade, use = _shade(card.choices[number]), number == card.chosen and not comparison.alone
    choice = None if comparison.alone else (card.anchor, number)
    return TableEntry(text.score(mean), words, order=mean, shade=shade, use=use if choice else None, choice=choice)


def _shade(choice: CardChoice) -> float:
    return max(0.0, 1 - choice.option.loss / _PALE)
