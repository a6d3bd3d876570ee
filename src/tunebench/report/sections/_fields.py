"""A technique's score with its verdict as one field, which the tables across tasks and across studies show."""

from tunebench.report import text
from tunebench.report.blocks import Card, CardChoice, TableEntry
from tunebench.report.read.comparisons import Comparison
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import SHORT, judge

PALE = 10.0
"""Points below the best from which on a field has no colour."""
Cell = tuple[Comparison, Pairs | None, Card]


def field(cell: Cell, label: str) -> TableEntry:
    """A dash where a comparison lacks the technique; without a score what became of its runs."""
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
    return max(0.0, 1 - choice.option.loss / PALE)
