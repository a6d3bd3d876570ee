"""A verdict for each technique by a written rule (docs/statistics.md): the one place where verdicts are made."""

from tunebench.evaluation.choice import whole
from tunebench.evaluation.metrics import METRICS
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.stats.paired import Difference, Pairs

BEST = "best"
TIED = "statistically tied with the best"
EQUIVALENT = "equivalent to the best"
WORSE = "worse"
CLEARLY = "clearly worse"
UNSHOWN = "not shown to beat the untuned model"
BEST_UNSHOWN = f"best score, {UNSHOWN}"
BELOW = "worse than the untuned model"
UNDECIDABLE = "no verdict possible"
IN_THIS_RUN = " in this run"
"""Ends every verdict on techniques with one common seed: it is about these runs, not about the techniques."""

SHORT = {
    BEST: "★ best",
    EQUIVALENT: "≈ equivalent",
    TIED: "= tied",
    WORSE: "▽ worse",
    CLEARLY: "▼ clearly worse",
    UNSHOWN: "○ no gain shown",
    BEST_UNSHOWN: "○ best score, no gain shown",
    BELOW: "▼ worse than untuned",
    UNDECIDABLE: "? no verdict",
}
"""Each verdict in a small field, to be read without colours."""


def judge(comparison: Comparison, row: Row, tests: Pairs | None) -> str | None:
    """The verdict on a technique; None where it was not tested, or the technique with the best score was not.

    If no difference could be significant, there is no verdict. A technique that trained is compared with the untuned
    model first. All others are compared with the best score, by the interval of the difference and the margin:
    equivalent (inside the margin), tied (not significant), clearly worse (beyond the margin), worse. Where several
    techniques have the best score, the most favourable comparison counts.
    """
    if tests is None or row.label not in tests.tested:
        return None
    if not tests.decidable:
        return UNDECIDABLE
    leads = row in comparison.best
    if outcome := _against_untuned(row, tests):
        return BEST_UNSHOWN if leads and outcome == UNSHOWN else outcome
    return BEST if leads else against_best(comparison, row, tests)


def winners(comparison: Comparison, tests: Pairs | None) -> list[Row]:
    """The rows with the best score that may be called the best: their verdict says so, or none of them was tested."""
    judged = [(row, judge(comparison, row, tests)) for row in comparison.best]
    if all(outcome is None for _, outcome in judged):
        return comparison.best
    return [row for row, outcome in judged if outcome == BEST]


def rivals(comparison: Comparison, tests: Pairs) -> list[Row]:
    """The tested rows whose score is worse than the best, but not shown to be worse by more than the margin allows."""
    lost = [row for row in comparison.ranked if row.label in tests.tested and row not in comparison.best]
    return [row for row in lost if against_best(comparison, row, tests) in (TIED, EQUIVALENT)]


def margin(comparison: Comparison, tests: Pairs) -> float:
    """The difference that does not matter, in the main metric's unit."""
    assert comparison.main is not None
    best = comparison.rank_score(comparison.best[0]) or 0.0
    return tests.margin * whole(METRICS.get(comparison.main[0]), best)


def _against_untuned(row: Row, tests: Pairs) -> str | None:
    """What the comparison with the untuned model says against a technique that trained."""
    difference = next((difference for difference in tests.untuned if difference.first == row.label), None)
    if difference is None:
        return None
    if not difference.significant:
        return UNSHOWN
    return BELOW if difference.value < 0 else None


_FAVOURABLE = (EQUIVALENT, TIED, WORSE, CLEARLY)


def against_best(comparison: Comparison, row: Row, tests: Pairs) -> str | None:
    """What the comparison with the best score says of another row; None where it was not tested."""
    found = [against(comparison, row, best, tests) for best in comparison.best]
    return min(filter(None, found), key=_FAVOURABLE.index, default=None)


def against(comparison: Comparison, row: Row, best: Row, tests: Pairs) -> str | None:
    """What the comparison with one of the rows with the best score says."""
    difference = tests.between(row.label, best.label)
    return None if difference is None else of_difference(difference, margin(comparison, tests))


def of_difference(difference: Difference, allowed: float) -> str:
    """What an interval says of the one with the lower score; its sign does not matter."""
    low, high = difference.interval or (-float("inf"), float("inf"))
    if -allowed <= low and high <= allowed:
        return EQUIVALENT
    if not difference.significant:
        return TIED
    return CLEARLY if low > allowed or high < -allowed else WORSE
