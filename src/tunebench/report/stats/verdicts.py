"""A verdict for each technique by a written rule (docs/statistics.md)."""

from tunebench.evaluation.metrics import METRICS
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.stats.paired import Pairs

NEAR = 0.02
"""Points of a fraction or a correlation; of another metric this share of the best value."""

BEST = "best"
EQUAL = "statistically tied with the best"
CLOSE = "close"
WORSE = "clearly worse"
FAILS = "fails"


def verdict(comparison: Comparison, row: Row, tests: Pairs | None) -> str | None:
    """The verdict on a technique; None where it was not tested.

    fails: it trained, and is not significantly better than the untuned model. best: the best mean. Then, by the
    difference from the best: tied (not significant), close (significant, at most `NEAR`), clearly worse.
    """
    if tests is None or row.label not in tests.groups:
        return None
    if _fails(comparison, row, tests):
        return FAILS
    best = comparison.best[0].label
    if row.label == best:
        return BEST
    difference = tests.between(row.label, best)
    assert difference is not None
    if not difference.significant:
        return EQUAL
    return CLOSE if abs(difference.value) <= margin(comparison) + 1e-9 else WORSE


def margin(comparison: Comparison) -> float:
    """How far from the best is close, in the main metric's unit."""
    assert comparison.main is not None
    best = comparison.main_score(comparison.best[0]).mean or 0.0
    unit = METRICS[comparison.main[0]].unit
    return NEAR if unit in ("fraction", "correlation") else NEAR * abs(best)


def _fails(comparison: Comparison, row: Row, tests: Pairs) -> bool:
    untuned = next((other for other in comparison.rows if other.untuned), None)
    if row.baseline or untuned is None or untuned.label not in tests.groups:
        return False
    difference = tests.between(row.label, untuned.label)
    assert difference is not None
    better = difference.value if difference.first == row.label else -difference.value
    return not difference.significant or better < 0
