"""How often 95 % intervals contain the true value: `python benchmarks/statistics_coverage.py > table.md`.

Test splits are drawn from known distributions, so that the value of an infinite split is known. Each split gets the
interval that a result has, and for comparison those of a percentile and a BCa bootstrap with 1,000 resamples.
docs/statistics.md has the table (seed 0).
"""

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tunebench.evaluation.bootstrap import Sums, resample_weights
from tunebench.evaluation.intervals import bca, intervals
from tunebench.evaluation.metrics import METRICS, Metric

SIZES = (100, 400, 2000)
SPLITS, BATCH = 1000, 25
RESAMPLES = 1000
MANY = 4_000_000  # examples whose value is taken for the true one, where no formula gives it

Draw = Callable[[np.random.Generator, int], np.ndarray]
"""So many examples: additive statistics, or for Spearman's rho both columns."""


class Case(NamedTuple):
    """A distribution of examples; `share`: of the test splits that are drawn, where one is expensive."""

    name: str
    metric: str
    draw: Draw
    true: float | None = None
    group: int = 1
    share: float = 1.0


def proportion(right: float) -> Draw:
    """Right or wrong, independently."""
    return lambda rng, count: np.column_stack([rng.random(count) < right, np.ones(count)]).astype(float)


def grouped(right: float, size: int) -> Draw:
    """Questions about texts, of which some are hard: the correlation within a text is 1/3."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        easy = np.repeat(rng.beta(2 * right, 2 * (1 - right), -(-count // size)), size)[:count]
        return np.column_stack([rng.random(count) < easy, np.ones(count)]).astype(float)

    return draw


PRIORS = np.array([0.33, 0.29, 0.14, 0.12, 0.08, 0.04])  # emotion's classes


def confusion(accuracy: float) -> np.ndarray:
    """Shares of true and predicted classes: the rarer a class, the more of it is wrong."""
    wrong = np.minimum((1 - accuracy) * (0.5 + 0.65 * np.sqrt(PRIORS.mean() / PRIORS)), 0.95)
    other = np.tile(PRIORS, (len(PRIORS), 1))
    np.fill_diagonal(other, 0)
    shares = other / other.sum(1, keepdims=True) * wrong[:, None]
    np.fill_diagonal(shares, 1 - wrong)
    return shares * PRIORS[:, None]


def labelled(accuracy: float) -> Draw:
    """Examples of six classes."""
    ends = confusion(accuracy).cumsum()

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        actual, predicted = np.divmod(np.searchsorted(ends / ends[-1], rng.random(count)), len(PRIORS))
        places = np.arange(len(PRIORS))
        sides = actual[:, None] == places, predicted[:, None] == places
        return np.hstack([sides[0] & sides[1], sides[1], sides[0]]).astype(float)

    return draw


def f1_of(metric: str, accuracy: float) -> float:
    """The F1 of an infinite split."""
    shares = confusion(accuracy)
    counts = np.concatenate([shares.diagonal(), shares.sum(0), shares.sum(1)])
    return float(METRICS[metric].combine(counts[None] * 1e9)[0])


def entities(quality: float) -> Draw:
    """One and a half entities per sentence; sentences are easy or hard."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        actual = rng.poisson(1.5, count)
        correct = rng.binomial(actual, rng.beta(quality * 6, (1 - quality) * 6, count))
        spurious = rng.poisson(0.375 * (1 - quality), count)
        return np.column_stack([correct, correct + rng.binomial(actual - correct, 0.6) + spurious, actual]).astype(
            float
        )

    return draw


def label_sets(quality: float, macro: bool) -> Draw:
    """Five labels of which the rarest belongs to one text in twenty; texts are easy or hard."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        easy = rng.beta(quality * 5, (1 - quality) * 5, count)[:, None]
        actual = rng.random((count, 5)) < [0.4, 0.25, 0.15, 0.1, 0.05]
        false = rng.random((count, 5)) < (1 - easy) * 0.25
        predicted = np.where(actual, rng.random((count, 5)) < easy, false)
        sides = (actual & predicted, predicted, actual)
        return (
            np.hstack(sides).astype(float) if macro else np.column_stack([side.sum(1) for side in sides]).astype(float)
        )

    return draw


def mean_of(a: float, b: float, zeros: float) -> Draw:
    """Scores of texts, a share of them 0."""
    return lambda rng, count: np.column_stack([rng.beta(a, b, count) * (rng.random(count) >= zeros), np.ones(count)])


def scores(kind: str) -> Draw:
    """Predicted and true scores, (examples, 2)."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        if kind == "normal":
            gold = rng.normal(size=count)
            guess = 0.8 * gold + 0.6 * rng.normal(size=count)
        elif kind == "similarity":  # fifths from 0 to 5, guessed better at the upper end
            gold = np.round(rng.random(count) * 25) / 5
            guess = np.clip(gold + rng.normal(size=count) * (1.2 - 0.15 * gold), 0, 5.2)
        else:  # skewed: most are small, and a few large ones decide
            gold = rng.exponential(size=count)
            guess = gold * np.exp(0.4 * rng.normal(size=count))
        return np.column_stack([guess, gold])

    return draw


def moments(kind: str) -> Draw:
    """What Pearson's correlation is computed from."""
    drawn = scores(kind)

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        x, y = drawn(rng, count).T
        return np.column_stack([np.ones(count), x, y, x * x, y * y, x * y])

    return draw


def likelihoods(rng: np.random.Generator, count: int) -> np.ndarray:
    """Texts of 25 tokens in the middle, some easier than others."""
    tokens = np.maximum(1, rng.lognormal(3.2, 0.7, count)).round()
    return np.column_stack(
        [tokens * rng.gamma(9, 2.5 / 9, count) * np.exp(rng.normal(size=count) / tokens**0.5), tokens]
    )


CASES = [
    *(Case(f"accuracy {right:g}", "accuracy", proportion(right), right) for right in (0.5, 0.9, 0.99)),
    Case("accuracy .8, five questions per text", "accuracy", grouped(0.8, 5), 0.8, group=5),
    *(
        Case(f"{METRICS[name].title} of accuracy {a:g}", name, labelled(a), f1_of(name, a))
        for name in ("macro_f1", "weighted_f1")
        for a in (0.6, 0.9, 0.99)
    ),
    *(Case("entity F1", "entity_f1", entities(quality)) for quality in (0.5, 0.9, 0.98)),
    *(Case("micro F1, five labels", "micro_f1", label_sets(quality, False)) for quality in (0.5, 0.9, 0.98)),
    *(Case("label macro F1, five labels", "label_macro_f1", label_sets(quality, True)) for quality in (0.5, 0.9, 0.98)),
    Case("ROUGE-like mean", "rouge_1", mean_of(2, 3, 0), 0.4),
    Case("ROUGE-like mean, a fifth 0", "rouge_1", mean_of(1, 4, 0.2), 0.16),
    Case("ROUGE-like mean, most 1", "rouge_1", mean_of(6, 0.6, 0.02), 0.98 / 1.1),
    *(Case(f"Pearson, {kind}", "pearson", moments(kind)) for kind in ("normal", "similarity", "skewed")),
    *(Case(f"Spearman, {kind}", "spearman", scores(kind), share=0.2) for kind in ("normal", "similarity", "skewed")),
    Case("perplexity", "perplexity", likelihoods),
]


def bare(metric: Metric) -> Metric:
    """The metric, whose predictions are its statistics."""
    return metric if metric.statistics is None else dataclasses.replace(metric, statistics=lambda given, _: given)


def true_value(case: Case, rng: np.random.Generator) -> float:
    """The value of an infinite split."""
    if case.true is not None:
        return case.true
    drawn = case.draw(rng, MANY)
    if METRICS[case.metric].statistics is None:
        return METRICS[case.metric].compute(drawn[:, 0], drawn[:, 1])
    return float(METRICS[case.metric].combine(drawn.sum(0)[None])[0])


def coverage(case: Case, count: int, true: float, rng: np.random.Generator) -> list[float]:
    """Shares of the percentile, BCa and the product's intervals that contain the true value."""
    metric, groups = bare(METRICS[case.metric]), np.repeat(np.arange(count // case.group), case.group)
    alone = np.concatenate([*resample_weights(count, RESAMPLES)]).astype(float)
    together = np.concatenate([*resample_weights(count // case.group, RESAMPLES)]).astype(float)[:, groups]
    batches = round(SPLITS * case.share / BATCH)
    hits = np.zeros(3)
    for _ in range(batches):
        splits = [case.draw(rng, count) for _ in range(BATCH)]
        values = resampled(metric, splits, alone)
        of_groups = values if case.group == 1 else resampled(metric, splits, together)
        for at, drawn in enumerate(splits):
            sums = Sums(metric, *sides(metric, drawn))
            value, without = metric.combine(sums.weighted(np.ones((1, count))))[0], metric.combine(sums.without(groups))
            found = (
                tuple(np.percentile(values[at], [2.5, 97.5])),
                bca(value, without, of_groups[at]),
                intervals([metric], *sides(metric, drawn), groups.tolist())[metric.name],
            )
            hits += [ends is not None and ends[0] <= true <= ends[1] for ends in found]
    return (hits / (batches * BATCH)).tolist()


def sides(metric: Metric, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What stands for predictions and references."""
    return (drawn[:, 0], drawn[:, 1]) if metric.statistics is None else (drawn, drawn)


def resampled(metric: Metric, splits: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The values of the same resamples of each split, (splits, resamples)."""
    if metric.statistics is None:
        return np.array([metric.combine(Sums(metric, *sides(metric, drawn)).weighted(weights)) for drawn in splits])
    sums = (weights @ np.hstack(splits)).reshape(len(weights), len(splits), -1)
    return metric.combine(sums).T


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    error = math.sqrt(0.95 * 0.05 / SPLITS)
    print(f"Standard error of a share of .95: at most {error:.3f}; Spearman's: {error / math.sqrt(0.2):.3f}.\n")
    heads = [f"{name} {count:,}" for name in ("percentile", "BCa", "reported") for count in SIZES]
    print(f"| metric | true value | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 2)}")
    for case in CASES:
        true = true_value(case, rng)
        shares = [coverage(case, count, true, rng) for count in SIZES]
        cells = [f"{of_size[place]:.3f}".lstrip("0") for place in range(3) for of_size in shares]
        print(f"| {case.name} | {true:.4g} | {' | '.join(cells)} |", flush=True)
        print(case.name, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
