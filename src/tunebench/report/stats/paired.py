"""Which differences between techniques are significant: tests on the same test examples.

Each difference has to pass two tests; the larger p counts.

- Approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): if two techniques were the same, it would not
  matter which of them gave which of the two answers to an example. In each of 10,000 trials the answers of a random
  half of the examples change sides; p is the share of trials whose difference is at least as large.
- A t test whose standard error covers the sampling of examples and, with several seeds, of seeds
  (`evaluation/variances.py`).

The best technique is chosen by the same scores that are tested. P-values and intervals of differences from it are
therefore those of the range of all techniques: Tukey's, for unequal variances that of Games and Howell (1976). They
hold for every pair, so that testing more pairs changes no verdict. Comparisons with the untuned model are a family of
their own, corrected for their number (Bonferroni).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import ndtr, stdtr

from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.report.options import Options
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.read.predictions import Answers
from tunebench.report.stats import trials
from tunebench.report.stats.corrections import LEVEL, Correction, Number, StudentizedRange
from tunebench.report.stats.intervals import expected_interval
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.letters import letters
from tunebench.report.stats.seeds import SeedDeviation
from tunebench.report.stats.trials import TAIL, TrialOutcome

TRIALS = 10_000
Pair = tuple[int, int]
"""Two techniques, by their numbers in the order of their ranks."""


@dataclass(frozen=True)
class Difference:
    """How much better the first of two techniques is in the main metric, over the seeds that all have.

    Attributes:
        value: in the metric's unit; positive: the first one is better, whichever direction that is.
        interval: its 95 % interval, simultaneous for its family; None where it is undefined. It contains 0 unless the
            difference is significant.
        p: two-sided, of one test.
        adjusted: corrected for its family.
        error: its standard error.
    """

    first: str
    second: str
    value: float
    interval: Interval | None
    p: float
    adjusted: float
    error: float = float("nan")

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below `LEVEL`."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Pairs:
    """The tests of a comparison.

    Attributes:
        differences: of the best from each other technique, best first, as the rows are ranked; all pairs on request.
        untuned: of each technique that trained from the untuned model, which is the second.
        tested: the techniques, as ranked.
        seeds: those that every technique has.
        left_out: technique -> why it was not tested.
        examples: number of test examples, or of groups of them that depend on each other.
        margin: as the reader chose it.
        groups: technique -> letters; techniques that share a letter do not differ significantly. Empty unless all
            pairs are tested.
        expected: technique -> 95 % interval of its expected score over seeds and examples. Empty with one seed.
        deviation: what is known of the variation between seeds, if there is one seed.
    """

    differences: tuple[Difference, ...]
    untuned: tuple[Difference, ...]
    tested: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: dict[str, str]
    examples: int
    margin: float = 0.01
    groups: dict[str, str] = field(default_factory=dict)
    expected: dict[str, Interval] = field(default_factory=dict)
    deviation: SeedDeviation | None = None

    @property
    def one_run(self) -> bool:
        """Whether techniques have one seed in common: what is said is about these runs."""
        return len(self.seeds) == 1

    @cached_property
    def needed(self) -> int | None:
        """On how many test examples two techniques must differ at least, so that their difference can be significant.

        Exchanging k answers in all possible ways gives no p below 2 / 2^k. None: more than a hundred.
        """
        counts = np.arange(1, 101)
        ps = np.maximum(2.0 ** (1.0 - counts), 1 / (TRIALS + 1))
        ps = np.minimum(ps, TAIL * 2 * ndtr(-np.sqrt(counts)))
        enough = counts[StudentizedRange(len(self.tested)).adjusted(ps, np.inf) < LEVEL]
        return int(enough[0]) if len(enough) else None

    @cached_property
    def decidable(self) -> bool:
        """Whether any difference could be significant with these examples and this number of techniques."""
        possible = self.needed is not None and self.needed <= self.examples
        return possible or any(difference.significant for difference in (*self.differences, *self.untuned))

    def between(self, one: str, other: str) -> Difference | None:
        """The difference of two techniques, whichever stands first; None if this pair was not asked for."""
        return next((d for d in self.differences if {d.first, d.second} == {one, other}), None)


def paired(
    comparison: Comparison,
    answers: Mapping[str, Answers | None],
    kept: Kept | None = None,
    options: Options | None = None,
    deviation: SeedDeviation | None = None,
    groups: Sequence[int] | None = None,
) -> Pairs | None:
    """The tests of a comparison; None if fewer than two techniques can be tested.

    Args:
        comparison: with its rows ranked by the main metric.
        answers: by run id.
        kept: the outcomes of earlier reports.
        options: the margin, and whether all pairs are tested.
        deviation: what the study knows of the variation between seeds.
        groups: a number for each test example; those of one group depend on each other, and are exchanged and left out
            together.
    """
    if comparison.main is None or comparison.main[0] not in METRICS or not comparison.seeds:
        return None
    options, metric = options or Options(), METRICS[comparison.main[0]]
    rows, left_out = _testable(comparison, metric, answers)
    asked = [[given for seed in comparison.seeds if (given := answers.get(_run(row, seed)))] for row in rows]
    if len(rows) < 2 or any(references != asked[0][0][1] for row in asked for _, references in row):
        return None
    gold, labels = asked[0][0][1], [row.label for row in rows]
    ranked, untuned = _ranked(comparison, rows, options), _untuned(rows)
    pairs = list(dict.fromkeys([*ranked, *(pair for pair in untuned if (pair[1], pair[0]) not in ranked)]))
    if groups is not None and len(groups) != len(gold):
        groups = None
    content = [metric.name, TRIALS, len(rows), pairs, gold, groups, *(given for row in asked for given, _ in row)]
    outcome = (kept or Kept()).outcome(
        content, lambda: trials.outcome(metric, _grouped(_statistics(metric, asked), groups), pairs, TRIALS)
    )
    differences = _differences(metric, labels, pairs, outcome, ranked, StudentizedRange(len(rows)))
    several = len(comparison.seeds) > 1
    return Pairs(
        differences,
        _differences(metric, labels, pairs, outcome, untuned, Number(len(untuned))),
        tuple(labels),
        comparison.seeds,
        left_out,
        len(gold if groups is None else set(groups)),
        options.margin,
        letters(labels, differences) if options.pairs else {},
        _expected(metric, labels, outcome, len(gold)) if several else {},
        None if several else deviation,
    )


def difference_between(
    metric: Metric, answers: Sequence[Sequence[Answers]], groups: Sequence[int] | None, family: Correction
) -> Difference:
    """How much better the first of two is, whose answers to the same test examples these are, one per seed of each."""
    if groups is not None and len(groups) != len(answers[0][0][1]):
        groups = None
    pair = [(0, 1)]
    outcome = trials.outcome(metric, _grouped(_statistics(metric, answers), groups), pair, TRIALS)
    return _differences(metric, ["first", "second"], pair, outcome, pair, family)[0]


def _testable(
    comparison: Comparison, metric: Metric, answers: Mapping[str, Answers | None]
) -> tuple[list[Row], dict[str, str]]:
    rows, left_out = [], {}
    for row in comparison.ranked:
        if not row.done or row in comparison.short:
            continue
        if comparison.main_score(row).mean is None:
            left_out[row.label] = "its main metric is undefined"
        elif metric.statistics is None:
            left_out[row.label] = f"{metric.title} is not computed from sums over examples"
        elif any(answers.get(result.run.id) is None for result in row.done):
            left_out[row.label] = "its predictions cannot be read"
        else:
            rows.append(row)
    return rows, left_out


def _run(row: Row, seed: int) -> str:
    return next(result.run.id for result in row.done if result.run.seed == seed)


def _ranked(comparison: Comparison, rows: Sequence[Row], options: Options) -> list[Pair]:
    """The pairs of the first family: with the best; what pretraining is worth; or all. Best first, by number."""
    numbers = range(len(rows))
    if options.pairs:
        return list(itertools.combinations(numbers, 2))
    best = [number for number in numbers if rows[number] in comparison.best]
    pairs = [(first, second) for first in best for second in numbers[first + 1 :]]
    tuned = next((number for number in numbers if rows[number].all_tuned), None)
    scratch = next((number for number in numbers if rows[number].from_scratch), None)
    if tuned is not None and scratch is not None:
        pairs.append((min(tuned, scratch), max(tuned, scratch)))
    return list(dict.fromkeys(pairs))


def _untuned(rows: Sequence[Row]) -> list[Pair]:
    """The pairs of the second family: what trained, and the untuned model."""
    model = next((number for number, row in enumerate(rows) if row.untuned), None)
    return [] if model is None else [(number, model) for number, row in enumerate(rows) if not row.baseline]


def _statistics(metric: Metric, answers: Sequence[Sequence[Answers]]) -> np.ndarray:
    """(techniques, seeds, examples, k), of techniques with the same test examples.

    One call counts all, so that they share classes and centres.
    """
    assert metric.statistics is not None
    gold = answers[0][0][1]
    flat = [prediction for seeds in answers for predictions, _ in seeds for prediction in predictions]
    counted = metric.statistics(flat, gold * (len(answers) * len(answers[0]))).astype(np.float64)
    return counted.reshape(len(answers), len(answers[0]), len(gold), -1)


def _grouped(statistics: np.ndarray, groups: Sequence[int] | None) -> np.ndarray:
    """Sums over the examples of each group, which stand for the examples."""
    if groups is None:
        return statistics
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(np.asarray(groups)[order], return_index=True)
    return np.add.reduceat(statistics[:, :, order], starts, axis=2)


def _expected(metric: Metric, labels: Sequence[str], outcome: TrialOutcome, examples: int) -> dict[str, Interval]:
    ends = {
        label: expected_interval(metric, float(mean), float(error), float(freedom), examples)
        for label, mean, error, freedom in zip(
            labels, outcome.means, outcome.mean_errors, outcome.mean_freedom, strict=True
        )
    }
    return {label: both for label, both in ends.items() if np.isfinite(both).all()}


def _differences(
    metric: Metric,
    labels: list[str],
    pairs: Sequence[Pair],
    outcome: TrialOutcome,
    wanted: Sequence[Pair],
    family: Correction,
) -> tuple[Difference, ...]:
    """The differences of the wanted pairs, corrected for their family; either of a pair may stand first."""
    places = {pair: place for place, pair in enumerate(pairs)}
    at = np.array([places.get(pair, places.get((pair[1], pair[0]), 0)) for pair in wanted], dtype=int)
    turned = np.array([1 if pair in places else -1 for pair in wanted])
    values = turned * outcome.differences[at] * (1 if metric.higher_is_better else -1)
    errors, freedom, by_exchange = outcome.errors[at], outcome.freedom[at], outcome.ps[at]
    with np.errstate(divide="ignore", invalid="ignore"):
        ts = np.where(values == 0, 0.0, np.abs(values) / errors)
    by_t = 2 * stdtr(freedom, -ts)
    adjusted = np.fmax(family.adjusted(by_exchange, np.inf), family.adjusted(by_t, freedom))
    half = family.quantile(freedom) * errors
    half = np.where(adjusted < LEVEL, half, np.fmax(half, np.abs(values)))  # it contains 0 unless it is significant
    figures = zip(wanted, values, half, np.fmax(by_exchange, by_t), adjusted, errors, strict=True)
    return tuple(
        Difference(labels[one], labels[other], float(value), _around(value, width), float(p), float(both), float(error))
        for (one, other), value, width, p, both, error in figures
    )


def _around(value: float, half: float) -> Interval | None:
    return (float(value - half), float(value + half)) if np.isfinite(half) else None
