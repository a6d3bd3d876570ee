"""How often verdicts are wrong, and how often differences are found, in studies whose truth is known.

    python benchmarks/simulated_verdicts.py [--studies 1000] [--only accuracy,pearson]

Each study has four techniques on one test split. An example's difficulty is shared by all techniques; a technique has
a liking of its own for some examples, and each seed shifts all of its scores. Under the null all expected scores are
equal. The statistics are those that the report computes, by the report's code, but for the exchange of answers, which
can only make a verdict more careful. docs/statistics.md shows the tables.

The script is not called `statistics.py`, because other scripts of the folder would import it for Python's module.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.evaluation.variances import Variances
from tunebench.report.stats.intervals import expected_interval
from tunebench.report.stats.studentized import range_quantile

SEED = 20_26
TECHNIQUES = 4
MARGIN = 0.01
TOGETHER = 10  # studies whose statistics are computed at once
DEVIATIONS = (0.0, 0.003, 0.007, 0.014)
SEEDS = (1, 3, 5)
EXAMPLES = (100, 400, 2_000)
GAINS = (0.01, 0.02, 0.05)
LIKING = 0.35  # standard deviation of a technique's liking for an example, that of the difficulty being 1
REST = 0.5  # of what is a seed's and an example's


@dataclass(frozen=True)
class Condition:
    """What a study is like; `gain` is how much better its first technique is."""

    metric: str
    deviation: float
    seeds: int
    examples: int
    gain: float = 0.0


Latent = np.ndarray
"""(techniques, seeds, examples): how hard each example is for each run."""


def latent(rng: np.random.Generator, condition: Condition) -> Latent:
    """Difficulty, liking and rest."""
    shape = (TECHNIQUES, condition.seeds, condition.examples)
    difficulty, liking = rng.normal(size=shape[2]), LIKING * rng.normal(size=(shape[0], 1, shape[2]))
    return difficulty + liking + REST * rng.normal(size=shape)


def shifts(rng: np.random.Generator, condition: Condition) -> np.ndarray:
    """How much better than expected each run is, in the metric's unit, (techniques, seeds, 1)."""
    drawn = condition.deviation * rng.normal(size=(TECHNIQUES, condition.seeds, 1))
    drawn[0] += condition.gain
    return drawn


_WIDTH = np.sqrt(1 + LIKING**2 + REST**2)


def _right(hard: Latent, shift: np.ndarray, level: float = 0.8) -> np.ndarray:
    """Whether each answer is right, where the expected share of right ones is level + shift."""
    return hard < _WIDTH * ndtri(np.clip(level + shift, 1e-9, 1 - 1e-9))


def accuracy(rng: np.random.Generator, hard: Latent, shift: np.ndarray) -> np.ndarray:
    """Right or wrong."""
    right = _right(hard, shift)
    return np.stack([right, np.ones_like(right)], axis=-1).astype(float)


def macro_f1(rng: np.random.Generator, hard: Latent, shift: np.ndarray) -> np.ndarray:
    """Three classes of 50, 30 and 20 %; a wrong answer is one of the other two."""
    actual = rng.choice(3, hard.shape[-1], p=[0.5, 0.3, 0.2])
    wrong = (actual + rng.integers(1, 3, hard.shape)) % 3
    predicted = np.where(_right(hard, shift), actual, wrong)
    classes = np.arange(3)
    is_actual = np.broadcast_to(actual[:, None] == classes, (*hard.shape, 3))
    is_predicted = predicted[..., None] == classes
    return np.concatenate([is_actual & is_predicted, is_predicted, is_actual], axis=-1).astype(float)


def pearson(rng: np.random.Generator, hard: Latent, shift: np.ndarray) -> np.ndarray:
    """Scores whose correlation with the true ones is .8 + shift."""
    gold = rng.normal(size=hard.shape[-1])
    noise = np.sqrt(1 / np.clip(0.8 + shift, 0.01, 0.999) ** 2 - 1)
    x, y = gold + noise * hard / _WIDTH, np.broadcast_to(gold, hard.shape)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def perplexity(rng: np.random.Generator, hard: Latent, shift: np.ndarray) -> np.ndarray:
    """Texts of 5 to 40 tokens of e^3 = 20.1 on average; shifts are shares of it."""
    tokens = np.broadcast_to(rng.integers(5, 41, hard.shape[-1]).astype(float), hard.shape)
    return np.stack([tokens * (3.0 + 0.4 * hard - np.log1p(shift)), tokens], axis=-1)


def rouge_l(rng: np.random.Generator, hard: Latent, shift: np.ndarray) -> np.ndarray:
    """Scores around .4, a tenth of them 0."""
    empty = rng.random(hard.shape[-1]) < 0.1
    score = np.where(empty, 0.0, np.clip(0.44 - 0.13 * hard / _WIDTH + shift / 0.9, 0.0, 1.0))
    return np.stack([score, np.ones_like(score)], axis=-1)


MADE: dict[str, Callable[[np.random.Generator, Latent, np.ndarray], np.ndarray]] = {
    "accuracy": accuracy, "macro_f1": macro_f1, "pearson": pearson, "perplexity": perplexity, "rouge_l": rouge_l,
}  # fmt: skip


@dataclass(frozen=True)
class Rates:
    """Shares of studies.

    Attributes:
        worse: some technique is called worse, or clearly worse, than the best.
        clearly: some technique is called clearly worse than the best.
        second: the second technique is called worse, or clearly worse, than the best.
        equivalent: the second technique is called equivalent to the best.
        covered: the interval of the second technique's expected score contains it.
    """

    worse: float
    clearly: float
    second: float
    equivalent: float
    covered: float


def simulated(condition: Condition, studies: int) -> Rates:
    """What the rule says in so many studies."""
    key = [*map(ord, condition.metric), condition.seeds, condition.examples]
    rng = np.random.default_rng([SEED, *key, round(1e4 * condition.deviation), round(1e4 * condition.gain)])
    metric, make = METRICS[condition.metric], MADE[condition.metric]
    parts = []
    for _ in range(-(-studies // TOGETHER)):
        made = [make(rng, latent(rng, condition), shifts(rng, condition)) for _ in range(TOGETHER)]
        parts.append(_compared(metric, np.concatenate(made)))
    gaps, errors, freedom, scores, error, df = (np.concatenate(part) for part in zip(*parts, strict=True))
    best = np.abs(scores.max(axis=1) if metric.higher_is_better else scores.min(axis=1))[:, None]
    margins = MARGIN * (np.ones_like(best) if metric.scale in ("fraction", "correlation") else best)
    half = range_quantile(0.05, TECHNIQUES, freedom) / np.sqrt(2) * errors
    equivalent = (gaps + half <= margins) & (gaps - half >= -margins)
    worse, clearly = (gaps - half > 0) & ~equivalent, gaps - half > margins
    truth = scores[:, 1:].mean()
    second = zip(scores[:, 1], error[:, 1], df[:, 1], strict=True)
    ends = [expected_interval(metric, *map(float, one), condition.examples) for one in second]
    return Rates(
        worse=float(worse.any(axis=1).mean()),
        clearly=float(clearly.any(axis=1).mean()),
        second=float(worse[:, 1].mean()),
        equivalent=float((equivalent & (gaps > 0))[:, 1].mean()),
        covered=float(np.mean([low <= truth <= high for low, high in ends])),
    )


def _compared(metric: Metric, statistics: np.ndarray) -> list[np.ndarray]:
    """Per study and technique: gap to the best, its error and freedom; mean score, its error and freedom."""
    variances = Variances(metric, statistics)
    means = variances.scores.mean(axis=1).reshape(-1, TECHNIQUES)
    sign = 1.0 if metric.higher_is_better else -1.0
    first = (sign * means).argmax(axis=1) + TECHNIQUES * np.arange(len(means))
    best = np.repeat(first, TECHNIQUES)
    errors, freedom = variances.of_differences(best, np.arange(means.size))
    gaps = sign * (means.ravel()[best] - means.ravel())
    return [part.reshape(-1, TECHNIQUES) for part in (gaps, errors, freedom, means, *variances.of_means())]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="of each condition")
    parser.add_argument("--only", default=",".join(MADE), help="metrics")
    args = parser.parse_args()
    metrics, start = args.only.split(","), time.perf_counter()
    conditions = itertools.product(metrics, DEVIATIONS, SEEDS, EXAMPLES)
    null = {key: simulated(Condition(*key), args.studies) for key in conditions}
    for title, field in (("Worse", "worse"), ("Clearly worse", "clearly"), ("Interval covers", "covered")):
        _table(f"{title}, all equal", metrics, DEVIATIONS, lambda *key, of=field: getattr(null[key], of))
    asked = itertools.product(metrics, GAINS, SEEDS[1:], EXAMPLES)
    gains = {(metric, gain, *of): Condition(metric, 0.007, *of, gain) for metric, gain, *of in asked}
    power = {key: simulated(condition, args.studies) for key, condition in gains.items()}
    behind = "A technique behind the best by so much is called worse"
    _table(behind, metrics, GAINS, lambda *key: power[key].second, SEEDS[1:])
    print(f"{args.studies} studies of each, {time.perf_counter() - start:.0f} s")


def _table(
    title: str, metrics: list[str], rows: tuple[float, ...], value: Callable[..., float], seeds: tuple[int, ...] = SEEDS
) -> None:
    columns = list(itertools.product(seeds, EXAMPLES))
    print(f"\n{title}:\n\n| metric | | {' | '.join(f'{s} seeds, n={n}' for s, n in columns)} |")
    print("| --- " * (len(columns) + 2) + "|")
    for metric, row in itertools.product(metrics, rows):
        figures = " | ".join(f"{value(metric, row, *column):.3f}" for column in columns)
        print(f"| {metric} | {row:g} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
