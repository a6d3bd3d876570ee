"""Sections on two studies: whether the second is better, what was changed, and what cannot be compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunebench.report import text
from tunebench.report.blocks import Block, Column, Pictures, Section, TableEntry, Text, items, table
from tunebench.report.charts.improvements import Shift
from tunebench.report.read.changes import StudyChange
from tunebench.report.read.matches import Lone
from tunebench.report.stats.improvements import (
    BETTER,
    CLEARLY_BETTER,
    CLEARLY_WORSE,
    EQUIVALENT,
    OPEN,
    SAME,
    UNTESTED,
    WORSE,
    Improvement,
)
from tunebench.report.stats.verdicts import IN_THIS_RUN

_ORDER = (CLEARLY_BETTER, BETTER, CLEARLY_WORSE, WORSE, EQUIVALENT, OPEN, SAME, UNTESTED)
_FEW = 3
"""Techniques that a sentence or a table names one by one."""


@dataclass(frozen=True)
class Progress:
    """From one study to another.

    Attributes:
        first: the name of the study that came before.
        second: the name of the other one.
        improvements: of the techniques that both have.
        changes: what both did differently.
        lone: the techniques that only one has.
        pictures: of the differences.
        margin: a difference that does not matter: points, or a share of the best score.
    """

    first: str
    second: str
    improvements: Sequence[Improvement]
    changes: Sequence[StudyChange]
    lone: Sequence[Lone]
    pictures: Pictures
    margin: float


def sections(progress: Progress, number: int) -> Iterator[Section]:
    """Those of one pair of studies; `number` keeps their anchors apart."""
    title = f"Is {progress.second} better than {progress.first}?"
    yield Section(f"better-{number}", title, tuple(_answer(progress)), progress.second)
    yield Section(f"changes-{number}", f"What {progress.second} did differently", tuple(_changed(progress)))


def shifts(improvements: Sequence[Improvement]) -> Iterator[Shift]:
    """The tested differences, to be drawn."""
    for one in improvements:
        if one.difference is not None and one.difference.interval is not None and one.match.now.main is not None:
            yield Shift(
                f"{one.match.after.label} · {one.match.where}",
                one.match.now.main[0],
                one.difference.value,
                *one.difference.interval,
                one.difference.significant,
                one.verdict,
            )


def sentences(progress: Progress) -> list[str]:
    """The answer, the most important verdicts first."""
    if not progress.improvements:
        return [
            f"{progress.first} and {progress.second} have no technique and task in common: "
            "compare studies of the same tasks."
        ]
    groups: dict[str, list[Improvement]] = {}
    for one in progress.improvements:
        groups.setdefault(one.verdict, []).append(one)
    order = sorted(groups, key=lambda verdict: _ORDER.index(verdict.removesuffix(IN_THIS_RUN)))
    total = len(progress.improvements)
    return [f"{verdict[0].upper()}{verdict[1:]}: {_those(groups[verdict], total)}." for verdict in order]


def _those(group: Sequence[Improvement], total: int) -> str:
    """How many of all techniques, and the first few; where nothing moved the number is enough."""
    if group[0].verdict == SAME:
        return f"{len(group)} of {text.plural(total, 'technique')}"
    named = "; ".join(f"{one.match.title} on {one.match.where}{_gain(one)}" for one in group[:_FEW])
    more = f"; and {len(group) - _FEW} more" if len(group) > _FEW else ""
    return f"{len(group)} of {text.plural(total, 'technique')} ({named}{more})"


def _gain(one: Improvement) -> str:
    """By how much the score rose, in the metric's own direction."""
    before, after = one.scores
    if before is None or after is None:
        return ""
    return f", {text.score(before)} → {text.score(after)}"


def _answer(progress: Progress) -> Iterator[Block]:
    yield items(sentences(progress))
    if progress.pictures.pictures:
        yield progress.pictures
    if not progress.improvements:
        return
    columns = [
        Column("Technique", numeric=False),
        Column("On", numeric=False),
        Column("Metric", numeric=False),
        Column(progress.first),
        Column(progress.second),
        Column("Difference", note="95 % interval; positive: better"),
        Column("p", note="corrected", usual=False),
        Column("Verdict", numeric=False),
        Column("Tuning time", note="before → after", usual=False),
    ]
    yield table("Techniques of both studies", columns, [_row(one) for one in progress.improvements])
    yield Text(
        "Scores are means over the seeds that both studies have, on the same test examples. A difference has to pass "
        "two tests: the exchange of answers, and a t test over examples and seeds; p-values and intervals are "
        "corrected for the number of techniques (Bonferroni). Equivalent: the interval lies within "
        f"{progress.margin:g}, of a metric without an upper end within this share of the better score. Clearly: it "
        "lies beyond.",
        "fine",
    )


def _row(one: Improvement) -> list[TableEntry | str]:
    match, difference = one.match, one.difference
    metric = match.now.main or match.was.main
    before, after = (row.train_seconds for row in (match.before, match.after))
    bounds = text.interval(difference.interval) if difference and difference.interval else ""
    return [
        match.title,
        match.where,
        text.metric_title(metric[0]) if metric else text.ABSENT,
        *(text.score(score) if one.seeds else text.ABSENT for score in one.scores),
        TableEntry(text.change(difference.value), bounds) if difference else text.ABSENT,
        text.chance(difference.adjusted) if difference else text.ABSENT,
        TableEntry(one.verdict, one.reason),
        f"{text.seconds(before)} → {text.seconds(after)}" if before and after else text.ABSENT,
    ]


def _changed(progress: Progress) -> Iterator[Block]:
    if progress.changes:
        columns = [Column(title, numeric=False) for title in ("Field", progress.first, progress.second, "Of")]
        total = sum(1 for one in progress.improvements if one.match.before.done and one.match.after.done)
        rows = [[change.field, change.before, change.after, _whose(change.rows, total)] for change in progress.changes]
        yield table("Settings, data, model, code and machine that differ", columns, rows)
    else:
        yield Text("The runs that belong together differ in no setting, no data, no model, no code and no machine.")
    for second, name in ((False, progress.first), (True, progress.second)):
        only = [f"{one.title} on {one.where}" for one in progress.lone if one.second is second]
        if only:
            yield Text(f"Only in {name}: {'; '.join(only)}.")


def _whose(rows: Sequence[str], total: int) -> str:
    if len(rows) == total:
        return "all"
    return "; ".join(rows) if len(rows) <= _FEW else f"{len(rows)} of {total} techniques"
