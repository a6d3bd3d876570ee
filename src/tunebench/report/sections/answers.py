"""Generated answers to test prompts compared with the references."""

from tunebench.records import Done, Generation
from tunebench.report import text
from tunebench.report.blocks import Block, Column, Table, TableEntry, table
from tunebench.report.read.comparisons import Comparison
from tunebench.report.sections.base import Case

_SHOWN = 3  # prompts; the others are in the runs' result.json
_LENGTH = 240  # characters of a text


def blocks(case: Case) -> list[Block]:
    """Empty if no technique generated text."""
    return [*answers(case.comparison)]


def answers(comparison: Comparison) -> list[Table]:
    """Mean ROUGE-L of the sample's answers, then some of the answers; empty if no technique generated any.

    Of each technique the first completed seed is shown.
    """
    samples = [(row.label, result, result.generation) for row in comparison.ranked for result in row.done[:1]]
    written = [(label, result, sample) for label, result, sample in samples if sample]
    if not written:
        return []
    first = written[0][2]
    shown = [answer.id for answer in first.answers[:_SHOWN]]
    return [_closeness(written), *(_texts(written, number) for number in shown)]


def _closeness(written: list[tuple[str, Done, Generation]]) -> Table:
    ways = list(written[0][2].rouge_l)
    count, limit = len(written[0][2].answers), written[0][2].max_new_tokens
    columns = [
        Column("Technique", numeric=False),
        *(Column("ROUGE-L", note=way) for way in ways),
        *(Column("Ended before the limit", note=way) for way in ways),
        *([Column("Generation time")] if len(ways) > 1 else []),
    ]
    rows = [
        [
            label,
            *(TableEntry(text.score(sample.rouge_l[way]), order=sample.rouge_l[way]) for way in ways),
            *(TableEntry(f"{sample.ended[way]} of {len(sample.answers)}", order=sample.ended[way]) for way in ways),
            *([_seconds(result.cost.generation_seconds)] if len(ways) > 1 else []),
        ]
        for label, result, sample in written
    ]
    return table(
        f"Answers to {text.plural(count, 'test prompt')}, at most {text.plural(limit, 'token')} each: mean ROUGE-L",
        columns,
        rows,
    )


def _seconds(spent: float) -> TableEntry:
    return TableEntry(text.seconds(spent), order=spent)


def _texts(written: list[tuple[str, Done, Generation]], number: int) -> Table:
    ways = list(written[0][2].rouge_l)
    columns = [Column("Technique", numeric=False), *(Column(way.capitalize(), numeric=False) for way in ways)]
    given = next(answer for answer in written[0][2].answers if answer.id == number)
    rows = [["(reference)", _shortened(given.reference), *[text.ABSENT] * (len(ways) - 1)]]
    for label, _, sample in written:
        own = next((answer for answer in sample.answers if answer.id == number), None)
        rows.append([label, *(_shortened(own.texts[way]) if own and way in own.texts else text.ABSENT for way in ways)])
    return table(f"Test prompt {number}: “{_shortened(given.prompt)}”", columns, rows, fixed=True)


def _shortened(words: str) -> str:
    return text.one_line(words, _LENGTH) or "(empty)"
