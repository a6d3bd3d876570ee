"""The learning rate over a run, as a share of its peak."""

import math
from typing import Literal

Schedule = Literal["linear", "inverse_square_root"]


def rate_factor(step: int, total: int, warmup: int, schedule: Schedule = "linear") -> float:
    """The share at optimizer step `step` (the first is 0) of `total`, with a warm-up of `warmup` steps.

    linear: from 0 to 1 over the warm-up, then down to 0 at the end (Devlin et al. 2019, A.2).
    """
    if schedule == "inverse_square_root":
        return inverse_square_root(step, warmup)
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (total - step) / max(1, total - warmup))


def inverse_square_root(step: int, warmup: int) -> float:
    """min(n / warmup, sqrt(warmup / n)) at the n-th step (Vaswani et al. 2017, equation 3).

    The paper's rate, min(n^-0.5, n warmup^-1.5) / sqrt(d_model), is this share of its peak, 1 / sqrt(d_model warmup):
    7e-4 for the base model and 4,000 steps. It has no end: training may stop at any step.
    """
    number, warmup = step + 1, max(1, warmup)
    return min(number / warmup, math.sqrt(warmup / number))
