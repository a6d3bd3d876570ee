"""A verdict for each technique by a written rule (docs/statistics.md): the one place where verdicts are made."""

from tunebench.evaluation.metrics import METRICS
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.stats.paired import Difference, Pairs

NEAR = 0.02
"""Points of a fraction or a correlation; of another metric this share of the best value."""

BEST = "best"
EQUAL = "statistically tied with the best"
CLOSE = "close"
WORSE = "clearly worse"
UNSHOWN = "not shown to beat the untuned model"
BEST_UNSHOWN = f"best score, {UNSHOWN}"
BELOW = "worse than the untuned model"
UNDECIDABLE = "no verdict possible"


def verdict(comparison: Comparison, row: Row, tests: Pairs | None) -> str | None:
    """The verdict on a technique; None where it was not tested, or the technique with the best score was not.

    If no difference could be significant, there is no verdict. A technique that trained is compared with the untuned
    model first. All others are compared with the best score: tied (not significant), close (significantly worse, by at
    most `NEAR`), clearly worse. Where several techniques have the best score, the most favourable comparison counts.
    """
    if tests is None or row.label not in tests.groups:
        return None
    if not tests.decidable:
        return UNDECIDABLE
    leads = row in comparison.best
    if outcome := _against_untuned(comparison, row, tests):
        return BEST_UNSHOWN if leads and outcome == UNSHOWN else outcome
    return BEST if leads else _against_best(comparison, row, tests)


def winners(comparison: Comparison, tests: Pairs | None) -> list[Row]:
    """The rows with the best score that may be called the best: their verdict says so, or none of them was tested."""
    judged = [(row, verdict(comparison, row, tests)) for row in comparison.best]
    if all(outcome is None for _, outcome in judged):
        return comparison.best
    return [row for row, outcome in judged if outcome == BEST]


def rivals(comparison: Comparison, tests: Pairs) -> list[Row]:
    """The tested rows whose score is worse than the best, but not significantly."""
    lost = [row for row in comparison.ranked if row.label in tests.groups and row not in comparison.best]
    return [row for row in lost if any(not d.significant for d in _from_best(comparison, row, tests))]


def margin(comparison: Comparison) -> float:
    """How far from the best is close, in the main metric's unit."""
    assert comparison.main is not None
    best = comparison.rank_score(comparison.best[0]) or 0.0
    unit = METRICS[comparison.main[0]].unit
    return NEAR if unit in ("fraction", "correlation") else NEAR * abs(best)


def _against_untuned(comparison: Comparison, row: Row, tests: Pairs) -> str | None:
    """What the comparison with the untuned model says against a technique that trained."""
    untuned = next((other for other in comparison.rows if other.untuned), None)
    difference = tests.between(row.label, untuned.label) if untuned and not row.baseline else None
    if difference is None:
        return None
    if not difference.significant:
        return UNSHOWN
    return BELOW if _gain(difference, row) < 0 else None


def _against_best(comparison: Comparison, row: Row, tests: Pairs) -> str | None:
    differences = _from_best(comparison, row, tests)
    if not differences:
        return None
    if any(not difference.significant for difference in differences):
        return EQUAL
    return CLOSE if any(-_gain(d, row) <= margin(comparison) + 1e-9 for d in differences) else WORSE


def _from_best(comparison: Comparison, row: Row, tests: Pairs) -> list[Difference]:
    found = [tests.between(row.label, best.label) for best in comparison.best]
    return [difference for difference in found if difference is not None]


def _gain(difference: Difference, row: Row) -> float:
    """How much better the row is than the other technique."""
    return difference.value if difference.first == row.label else -difference.value
