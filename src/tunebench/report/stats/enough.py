"""How many seeds or test examples would decide between the best two techniques."""

import math
from math import sqrt

import numpy as np

from tunebench.evaluation.power import examples_needed
from tunebench.report.read.comparisons import Comparison
from tunebench.report.stats.corrections import StudentizedRange
from tunebench.report.stats.paired import Difference, Pairs
from tunebench.report.stats.seeds import seed_deviation, seeds_needed


def lead(tests: Pairs) -> Difference | None:
    """The difference of the best two techniques, where it is not zero and has an error."""
    first = next(iter(tests.differences), None)
    return first if first is not None and first.value > 0 and first.error > 0 else None


def examples(comparison: Comparison, tests: Pairs) -> tuple[int, float] | None:
    """The number of test examples, and that with which the lead would be significant in four of five studies.

    None: it is significant, or several seeds made it, so that more examples alone may not show it.
    """
    first = lead(tests)
    count = next((r.data.rows.get("test") for row in comparison.rows for r in row.done), None)
    if first is None or first.significant or first.interval is None or not tests.one_run or not count:
        return None
    critical = float(StudentizedRange(len(tests.tested)).quantile(np.array(np.inf)))
    needed = examples_needed(first.value, count, first.error, critical)
    return (count, needed) if needed > count else None


def more_seeds(comparison: Comparison, tests: Pairs) -> int | None:
    """The number of seeds with which a difference that the comparison's several seeds do not show would be significant.

    None: it is significant, or no affordable number shows it, or there is one seed.
    """
    first = lead(tests)
    known = seed_deviation([comparison], comparison.main[0]) if comparison.main else None
    if first is None or first.significant or tests.one_run or known is None:
        return None
    of_examples = sqrt(max(first.error**2 - 2 * known.value**2 / len(tests.seeds), 0.0))
    needed = seeds_needed(first.value, known.value, of_examples, len(tests.tested))
    return needed if needed and needed > len(tests.seeds) else None


def rounded(number: float) -> str:
    """Two significant digits."""
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"{round(number / 10**digits) * 10**digits:,}"
