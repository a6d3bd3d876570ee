"""The summary: what to use on each task, and what limits that."""

from collections.abc import Iterator, Sequence

from tunebench._util.words import listed
from tunebench.report.blocks import Block, Cards, Section, items
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.costs import SPARED
from tunebench.report.sections.base import Whole
from tunebench.report.stats.decision import RULE
from tunebench.report.stats.notices import Group, Weight
from tunebench.report.stats.paired import Pairs

Judged = Sequence[tuple[Comparison, Pairs | None]]


def sections(whole: Whole) -> list[Section]:
    """The report's first section."""
    cards = tuple(one.card for one in whole.examined)
    said = list(limits([(one.comparison, one.tests) for one in whole.examined if one.comparison.best], whole.notices))
    blocks: list[Block] = [
        Cards(cards, RULE, next(iter(SPARED)), whole.accepted),
        *([items(said, "fine")] if said else []),
    ]
    return [Section("summary", "Summary", tuple(blocks))]


def limits(ranked: Judged, notices: Sequence[Group]) -> Iterator[str]:
    """One seed, and notices that cast doubt on figures."""
    lines = []
    single = sum(_once(comparison, tests) for comparison, tests in ranked)
    if ranked and single == len(ranked):
        lines.append("There is one seed: all of this is about these runs, not about the techniques.")
    elif single:
        lines.append(
            f"In {single} of {len(ranked)} cells techniques have one seed: verdicts there are about these runs, not "
            "about the techniques."
        )
    doubts = [
        f"“{group.code.replace('_', ' ')}” ({sum(len(runs) for _, runs in group.messages)})"
        for group in notices
        if group.weight in (Weight.WRONG, Weight.DOUBT)  # the others explain a figure, or stand elsewhere
    ]
    if doubts:
        lines.append(f"See these notices: {listed(doubts)}.")
    if lines:
        yield " ".join(lines)


def _once(comparison: Comparison, tests: Pairs | None) -> bool:
    """Whether there is one seed of each technique to compare."""
    return tests.one_run if tests else len(comparison.seeds) == 1
