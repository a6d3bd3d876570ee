"""What a test split can show: in four of five studies (a power of 80 %), by a two-sided test at .05."""

import math

DISAGREEMENT = 0.2
"""Share of the test examples that two techniques answer differently; 0.1 to 0.3 in the studies of docs/results."""
_ALONE = 1.96
"""How many standard errors are significant where nothing is corrected: the normal quantile at .05."""
_POWER = 0.84
"""Normal quantile of a power of 80 %."""


def detectable(error: float, critical: float = _ALONE) -> float:
    """The difference that a test finds in four of five studies.

    Args:
        error: the standard error of the difference.
        critical: how many standard errors are significant; after a correction for several comparisons, more than 1.96.
    """
    return (critical + _POWER) * error


def smallest_difference(examples: int) -> float:
    """The difference in accuracy that a paired test finds in four of five studies, for one comparison.

    The difference of two techniques' answers to an example is 0, or 1 or -1 for a share `DISAGREEMENT` of them, so its
    variance is about that share (McNemar's test; Connor 1987, equation 2.1, at small differences).
    """
    return detectable(math.sqrt(DISAGREEMENT / examples))


def examples_needed(difference: float, examples: int, error: float, critical: float = _ALONE) -> float:
    """The number of test examples with which `difference` is `detectable`, given its error with so many examples."""
    return examples * (detectable(error, critical) / difference) ** 2
