"""What a test split can show."""

import math

DISAGREEMENT = 0.2
"""Share of the test examples that two techniques answer differently; 0.1 to 0.3 in the studies of docs/results."""
_LEVEL_AND_POWER = 1.96 + 0.84
"""Normal quantiles of a two-sided test at .05 and of a power of 80 %."""


def smallest_difference(examples: int) -> float:
    """The difference in accuracy that a paired test finds in four of five studies, for one comparison.

    The difference of two techniques' answers to an example is 0, or 1 or -1 for a share `DISAGREEMENT` of them, so its
    variance is about that share (McNemar's test; Connor 1987, equation 2.1, at small differences).
    """
    return _LEVEL_AND_POWER * math.sqrt(DISAGREEMENT / examples)
