"""How often one technique differs from itself: splits of its seeds into two groups, which are then tested.

    tunebench run STUDY --seeds 12 --out OUT          # or: python benchmarks/race_null.py record OUT ...
    python benchmarks/real_null.py OUT

The runs of each row of a finished study are split at random into two groups of three seeds, as if they were two
techniques. Both tests of the report are applied; a difference is found where the larger p is below .05. A right test
finds one in at most 5 % of the splits, which are not independent: they share seeds. The same for pairs of single runs,
where the report says "in this run".
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.special import stdtr

from race_null import METRIC_NAMES, recorded
from tunebench.evaluation.metrics import METRICS
from tunebench.report.read.comparisons import Row, comparisons
from tunebench.report.read.predictions import read_answers
from tunebench.report.read.study import read_study
from tunebench.report.stats import trials
from tunebench.report.stats.corrections import LEVEL

TRIALS = 2_000


def statistics_of(out: Path, row: Row, metric: str) -> np.ndarray:
    """Additive statistics of a row's runs, (seeds, examples, k)."""
    answers = [read_answers(out, result.run.id) for result in row.done]
    statistics = METRICS[metric].statistics
    assert statistics is not None and None not in answers, row.label
    gold = answers[0][1]  # type: ignore[index]
    flat = [prediction for given in answers if given for prediction in given[0]]
    return statistics(flat, gold * len(answers)).astype(float).reshape(len(answers), len(gold), -1)


def found(metric: str, statistics: np.ndarray, size: int, splits: int) -> float:
    """The share of splits into two groups of `size` seeds in which they differ significantly."""
    rng, count = np.random.default_rng(0), 0
    for _ in range(splits):
        drawn = rng.permutation(len(statistics))[: 2 * size].reshape(2, size)
        outcome = trials.outcome(METRICS[metric], statistics[drawn], [(0, 1)], TRIALS)
        t = abs(outcome.differences[0]) / outcome.errors[0]
        count += max(2 * stdtr(outcome.freedom[0], -t), outcome.ps[0]) < LEVEL
    return count / splits


def print_row(name: str, metric: str, statistics: np.ndarray, splits: int) -> None:
    """One line: scores of the seeds, and the shares of splits that differ significantly."""
    scores = METRICS[metric].combine(statistics.sum(axis=1))
    print(
        f"{name} {metric} {len(statistics)} | {scores.mean():.4f}, {scores.std(ddof=1):.4f} | "
        f"{found(metric, statistics, 3, splits):.3f} | {found(metric, statistics, 1, splits):.3f}",
        flush=True,
    )


def print_study(out: Path, splits: int) -> None:
    """The rows of a study with at least six seeds, by their answers to the test examples."""
    for comparison in comparisons(read_study(out)):
        for row in comparison.rows:
            if len(row.done) >= 6 and comparison.main:
                name = f"{comparison.model} {comparison.task} {row.label}"
                print_row(name, comparison.main[0], statistics_of(out, row, comparison.main[0]), splits)


def print_recorded(out: Path, splits: int) -> None:
    """The runs that `race_null.py` recorded, by their answers to the validation examples at the last pause."""
    for technique, given in recorded(out).items():
        answers = given.answers[max(given.answers)]
        for metric in METRIC_NAMES:
            statistics = METRICS[metric].statistics
            assert statistics is not None
            flat = statistics(answers.ravel().tolist(), given.gold.tolist() * len(answers)).astype(float)
            print_row(technique, metric, flat.reshape(*answers.shape, -1), splits)


def main() -> None:
    """Print the share of each row, and the spread of its seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a study's output folder, with at least six seeds per technique")
    parser.add_argument("--splits", type=int, default=300)
    given = parser.parse_args()
    print("row metric seeds | mean, deviation | 3 against 3 | 1 against 1 (in this run)")
    if (given.out / "answers.json").is_file():
        print_recorded(given.out, given.splits)
    else:
        print_study(given.out, given.splits)


if __name__ == "__main__":
    main()
