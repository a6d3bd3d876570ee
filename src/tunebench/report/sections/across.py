"""Techniques by tasks: the main metric and verdict of each, family by family."""

from collections.abc import Sequence

from tunebench.report import text
from tunebench.report.blocks import BEST, Column, Columns, Heading, Section, Table, TableEntry, Text, for_paper, table
from tunebench.report.read.comparisons import Comparison
from tunebench.report.sections.base import Whole
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import verdict, winners


def sections(whole: Whole) -> list[Section]:
    """One table per family, side by side if the page is wide enough."""
    parts = tuple(
        (Heading(family), for_paper(family_table([(one.comparison, one.tests) for one in group])))
        for family, group in whole.families.items()
    )
    note = f"{BEST} best of its column. The verdicts follow a fixed rule: see"
    return [
        Section(
            "across", "Across tasks", (Columns(parts), Text(note, "fine", link=("reading", "How to read the figures")))
        )
    ]


def family_table(group: Sequence[tuple[Comparison, Pairs | None]]) -> Table:
    """Technique by task: the main metric of each with its verdict, the best of each column marked."""
    several = len({comparison.model for comparison, _ in group}) > 1
    columns = [Column("Technique", numeric=False)]
    for comparison, _ in group:
        title = f"{comparison.task}, {comparison.model}" if several else comparison.task
        columns.append(Column(title, note=text.metric_title(comparison.main[0]) if comparison.main else ""))
    labels = dict.fromkeys(row.label for comparison, _ in group for row in comparison.rows)
    rows = [[label, *(_verdict(comparison, label, tests) for comparison, tests in group)] for label in labels]
    return table("Main metric and verdict of each technique on each task", columns, rows)


def _verdict(comparison: Comparison, label: str, tests: Pairs | None) -> TableEntry:
    row = next((row for row in comparison.rows if row.label == label), None)
    if row is None:
        return TableEntry(text.ABSENT)
    if not row.done:
        statuses = dict.fromkeys(run.status.replace("_", " ") for run in row.runs)
        return TableEntry(", ".join(statuses) or row.troubles[0].partition(":")[0])
    notes = [verdict(comparison, row, tests) or ""]
    notes += [f"{len(row.done)} of {len(row.runs)} seeds"] if len(row.done) < len(row.runs) else []
    mean = comparison.main_score(row).mean
    return TableEntry(text.score(mean), ", ".join(filter(None, notes)), row in winners(comparison, tests), order=mean)
