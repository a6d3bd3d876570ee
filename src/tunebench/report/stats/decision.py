"""Which technique a comparison recommends, by the rule of `evaluation/choice.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from tunebench.evaluation.choice import Option, choose, whole
from tunebench.evaluation.metrics import METRICS
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.costs import SPARED, TIME, Price
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import (
    BELOW,
    BEST,
    BEST_UNSHOWN,
    EQUIVALENT,
    TIED,
    UNDECIDABLE,
    UNSHOWN,
    against_best,
    judge,
)

RULE = (
    "Rule: the cheapest technique in {spared} of those that score at most {points} below the best (a point is 0.01, of "
    "a perplexity 1 %) and are statistically tied with it, or shown to lose no more. What trained and is not shown to "
    "beat the untuned model is not recommended."
)


@dataclass(frozen=True)
class Decision:
    """What a comparison recommends.

    Attributes:
        options: by label, what is known of each technique that has a score.
        chosen: the label of the recommended one; None: there is none.
    """

    options: Mapping[str, Option]
    chosen: str | None


def decision(comparison: Comparison, tests: Pairs | None, accepted: float, price: Price = TIME) -> Decision:
    """The cheapest technique that loses at most `accepted` points.

    A technique that trained and is not shown to beat the untuned model is never recommended.
    """
    options = {row.label: _option(comparison, row, tests, price) for row in scored(comparison)}
    chosen = choose(options, accepted, price.noise(comparison))
    return Decision(options, chosen)


def spared(comparison: Comparison, row: Row) -> dict[str, float | None]:
    """Each cost that a reader may want to save."""
    return {name: price.of(comparison, row) for name, price in SPARED.items()}


def noises(comparison: Comparison) -> dict[str, float]:
    """Of each of these, the relative difference that means nothing."""
    return {name: price.noise(comparison) for name, price in SPARED.items()}


def scored(comparison: Comparison) -> list[Row]:
    """The rows with a main score, best first."""
    return [row for row in comparison.ranked if comparison.rank_score(row) is not None]


def _option(comparison: Comparison, row: Row, tests: Pairs | None, price: Price) -> Option:
    cost = price.of(comparison, row)
    assert comparison.main is not None
    score, best = comparison.rank_score(row) or 0.0, comparison.rank_score(comparison.best[0]) or 0.0
    point = 0.01 * whole(METRICS.get(comparison.main[0]), best)
    loss = abs(best - score) / point if point else 0.0
    outcome = judge(comparison, row, tests)
    if tests is None or outcome is None:
        return Option(loss, row in comparison.best or (tests is None and _overlaps(comparison, row)), cost=cost)
    if outcome in (UNSHOWN, BEST_UNSHOWN, BELOW):
        return Option(loss, False, cost=cost)
    tied = outcome in (BEST, TIED, EQUIVALENT, UNDECIDABLE)
    if row.untuned:
        tied = not _led(comparison, tests) or (tied and not beaten(tests))
    return Option(loss, tied, _most(comparison, row, tests) / point if point else inf, cost)


def beaten(tests: Pairs) -> bool:
    """Whether a technique is shown to beat the untuned model."""
    return any(difference.significant and difference.value > 0 for difference in tests.untuned)


def _led(comparison: Comparison, tests: Pairs) -> bool:
    """Whether a technique with the best score is shown to beat the untuned model, or needs not to."""
    return any(judge(comparison, row, tests) != BEST_UNSHOWN for row in comparison.best)


def _most(comparison: Comparison, row: Row, tests: Pairs) -> float:
    """The upper end of the interval of its difference from the best score, the smallest of several."""
    if row in comparison.best:
        return 0.0
    found = [tests.between(row.label, best.label) for best in comparison.best]
    return min((d.interval[1] for d in found if d is not None and d.interval), default=inf)


def _overlaps(comparison: Comparison, row: Row) -> bool:
    """Whether its interval overlaps with that of the best score, where no test is possible."""
    one, other = comparison.main_score(row).interval, comparison.main_score(comparison.best[0]).interval
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def told_apart(comparison: Comparison, tests: Pairs) -> bool:
    """Whether any difference between its techniques is significant, or shown not to matter."""
    if not tests.decidable:
        return False
    shown = any(against_best(comparison, row, tests) == EQUIVALENT for row in scored(comparison))
    return shown or any(difference.significant for difference in (*tests.differences, *tests.untuned))
