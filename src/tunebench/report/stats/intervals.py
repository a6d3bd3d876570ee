"""The interval of a technique's expected score over seeds and test examples, on a scale where it is symmetric."""

import numpy as np
from scipy.special import stdtrit

from tunebench.evaluation.intervals import wilson
from tunebench.evaluation.metrics import Metric
from tunebench.report.stats.corrections import LEVEL


def expected_interval(metric: Metric, score: float, error: float, freedom: float, examples: int) -> tuple[float, float]:
    """Both ends; fractions by Wilson (1927) with the number of examples that the variance amounts to.

    Correlations by Fisher's z, perplexities by their logarithm. NaN where score or error are undefined.
    """
    quantile = float(stdtrit(max(freedom, 1e-6), 1 - LEVEL / 2)) if np.isfinite(freedom) else 1.959964
    if metric.scale == "fraction":
        variance = score * (1 - score)
        count = variance / error**2 if error > 0 and variance > 0 else float(examples)
        return wilson(score, count, quantile)
    if metric.scale == "correlation":
        z, half = np.arctanh(np.clip(score, -1 + 1e-12, 1 - 1e-12)), quantile * error / max(1 - score**2, 1e-12)
        return float(np.tanh(z - half)), float(np.tanh(z + half))
    if metric.scale != "positive" or score <= 0:
        return score - quantile * error, score + quantile * error
    factor = float(np.exp(quantile * error / score))
    return score / factor, score * factor
