"""How much scores and their differences vary over seeds and test examples, by the jackknife.

The score of technique a with seed s on n examples is  a's expected score + effect of s + effect of the examples +
rest. Leaving out one example at a time (Efron and Stein 1981) gives each run's deviation per example, whose products
estimate covariances over examples; what two seeds of a technique have in common is the examples' effect. Hence, of a
difference of means over S seeds:

    variance = V_a / S + V_b / S + E        V: variance of the seeds' scores (it includes the rest)
    E = mean covariance of two seeds of a, plus that of b, minus twice that of a seed of a and one of b; at least 0

with 1 / degrees of freedom = w / f + (1 - w) / (n - 1), where w is the share of the seeds' part, and f Welch's degrees
of freedom of that part alone: Welch's t with a crossed effect of the examples. Satterthwaite (1946) squares the shares
instead; with three seeds that calls 6 to 10 % of equal techniques worse (decision 0021).

A seed is a draw of its technique's own: seed 0 of a and seed 0 of b are no pair. With one seed V is unknown, and E is
the variance over examples of the difference between these two models.
"""

import numpy as np

from tunebench.evaluation.metrics import Metric

Spread = tuple[np.ndarray, np.ndarray]
"""Standard errors and their degrees of freedom."""


class Variances:
    """The variances of techniques with the same seeds and test examples.

    Attributes:
        scores: (techniques, seeds).
    """

    def __init__(self, metric: Metric, statistics: np.ndarray):
        """From additive statistics, (techniques, seeds, examples, k)."""
        techniques, self._seeds, self._examples, _ = statistics.shape
        self._unseen = 1 / self._examples**2 if metric.scale == "fraction" else 0.0
        self.scores = metric.combine(statistics.sum(axis=2))
        deviations = np.stack([_deviations(metric, of_one) for of_one in statistics])
        rows = deviations.reshape(techniques * self._seeds, -1)
        blocks = (rows @ rows.T).reshape(techniques, self._seeds, techniques, self._seeds).swapaxes(1, 2)
        self._shared = blocks.mean(axis=(2, 3))
        own = np.arange(techniques)
        self._own = self._shared[own, own].copy()
        self._by_seed = np.zeros(techniques)
        if self._seeds > 1:
            pairs = self._seeds * (self._seeds - 1)
            traces = np.trace(blocks[own, own], axis1=1, axis2=2)
            self._own = (blocks[own, own].sum(axis=(1, 2)) - traces) / pairs
            rest = np.maximum(traces / self._seeds - self._own, 0.0)
            between = self.scores.var(axis=1, ddof=1)
            if self._seeds == 2:
                # One squared difference is often far too small by chance. What examples alone add to it is known well:
                # where it is larger, it counts as one more observation.
                between = np.fmax(between, (between + rest) / 2)
            self._by_seed = between / self._seeds

    def of_differences(self, first: np.ndarray, second: np.ndarray) -> Spread:
        """Of mean scores of techniques `first` minus those of `second`, by their numbers.

        Equal answers to a few examples do not show equality. Of a fraction the variance is therefore that of two more
        examples, one in favour of each (Agresti and Min 2005).
        """
        examples = self._own[first] + self._own[second] - 2 * self._shared[first, second]
        return self._spread(np.maximum(examples, 0.0) + self._unseen, self._by_seed[first], self._by_seed[second])

    def of_means(self) -> Spread:
        """Of each technique's mean score."""
        return self._spread(self._own, self._by_seed)

    def _spread(self, examples: np.ndarray, *by_seed: np.ndarray) -> Spread:
        examples, seeds = np.maximum(examples, 0.0), np.sum(by_seed, axis=0)
        total = examples + seeds
        squares = sum(part**2 for part in by_seed) / max(self._seeds - 1, 1)
        inverse = np.divide(squares, seeds**2, out=np.zeros(total.shape), where=seeds > 0)
        share = np.divide(seeds, total, out=np.zeros(total.shape), where=total > 0)
        return np.sqrt(total), 1 / (share * inverse + (1 - share) / max(self._examples - 1, 1))


def _deviations(metric: Metric, statistics: np.ndarray) -> np.ndarray:
    """(seeds, examples): products of two rows sum to the jackknife's covariance; NaN where a score is undefined."""
    count = statistics.shape[1]
    if count < 2:
        return np.full(statistics.shape[:2], np.nan)
    without = metric.combine(statistics.sum(axis=1, keepdims=True) - statistics)
    return (without.mean(axis=1, keepdims=True) - without) * np.sqrt((count - 1) / count)
