"""Which differences between techniques are significant: paired tests on the same test examples.

Approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): if two techniques were the same, it would not matter
which of them gave which of the two answers to an example. In each of 10,000 trials the answers of a random half of the
examples change sides; p is the share of trials whose difference is at least as large. All pairs of a comparison see the
same trials, and so do all seeds of a pair: an example is one example however many seeds answered it. P-values are
corrected for the number of pairs by Holm (1979). Intervals of differences are paired bootstrap ones.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.report.read.comparisons import Comparison, Interval, Row
from tunebench.report.read.predictions import Answers
from tunebench.report.stats import trials
from tunebench.report.stats.kept import Kept
from tunebench.report.stats.trials import TrialOutcome

TRIALS = 10_000
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """How much better the first of two techniques is in the main metric, over the seeds that both have.

    Attributes:
        value: in the metric's unit; positive: the first one is better, whichever direction that is.
        interval: its 95 % paired bootstrap interval over examples, or None where a resample leaves it undefined.
        p: two-sided, of one test.
        adjusted: corrected for all pairs of the comparison.
    """

    first: str
    second: str
    value: float
    interval: Interval | None
    p: float
    adjusted: float

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below `LEVEL`."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Pairs:
    """All pairs of a comparison's techniques.

    Attributes:
        differences: best technique first, as the rows are ranked.
        groups: technique -> letters; techniques that share a letter do not differ significantly.
        seeds: those that every technique has.
        left_out: technique -> why it was not tested.
        examples: number of test examples.
    """

    differences: tuple[Difference, ...]
    groups: dict[str, str]
    seeds: tuple[int, ...]
    left_out: dict[str, str]
    examples: int

    @property
    def needed(self) -> int | None:
        """On how many test examples two techniques must differ at least, so that their difference can be significant.

        Exchanging k answers in all possible ways gives no p below 2 / 2^k, and `TRIALS` trials none below
        1 / (`TRIALS` + 1). None: even that is not significant after the correction for so many pairs.
        """
        level = LEVEL / len(self.differences)
        if level <= 1 / (TRIALS + 1):
            return None
        return next(k for k in itertools.count(1) if 2 / 2**k < level)

    @property
    def decidable(self) -> bool:
        """Whether any difference could be significant with these examples and this number of pairs."""
        possible = self.needed is not None and self.needed <= self.examples
        return possible or any(difference.significant for difference in self.differences)

    def between(self, one: str, other: str) -> Difference | None:
        """The difference of two techniques, whichever stands first."""
        return next((d for d in self.differences if {d.first, d.second} == {one, other}), None)


def paired(comparison: Comparison, answers: Mapping[str, Answers | None], kept: Kept | None = None) -> Pairs | None:
    """All pairs of techniques; None if fewer than two can be tested.

    Args:
        comparison: with its rows ranked by the main metric.
        answers: by run id.
        kept: the outcomes of earlier reports.
    """
    if comparison.main is None or comparison.main[0] not in METRICS:
        return None
    metric = METRICS[comparison.main[0]]
    rows, left_out = _testable(comparison, metric)
    given: dict[str, dict[int, Answers]] = {}
    for row in rows:
        of_row = _of_row(row, answers)
        if of_row is None:
            left_out[row.label] = "its predictions cannot be read"
        else:
            given[row.label] = of_row
    if len(given) < 2:
        return None
    if not comparison.seeds:
        return None
    labels = list(given)
    asked = [[given[label][seed] for seed in comparison.seeds] for label in labels]
    gold = asked[0][0][1]
    if any(references != gold for row in asked for _, references in row):
        return None
    content = [metric.name, TRIALS, len(labels), gold, *(predictions for row in asked for predictions, _ in row)]
    outcome = (kept or Kept()).outcome(content, lambda: trials.outcome(metric, _statistics(metric, asked), TRIALS))
    differences = _differences(metric, labels, outcome)
    return Pairs(differences, letters(labels, differences), comparison.seeds, left_out, len(gold))


def _testable(comparison: Comparison, metric: Metric) -> tuple[list[Row], dict[str, str]]:
    rows, left_out = [], {}
    for row in comparison.ranked:
        if not row.done:
            continue
        if comparison.main_score(row).mean is None:
            left_out[row.label] = "its main metric is undefined"
        elif metric.statistics is None:
            left_out[row.label] = f"{metric.title} is not computed from sums over examples"
        else:
            rows.append(row)
    return rows, left_out


def _of_row(row: Row, answers: Mapping[str, Answers | None]) -> dict[int, Answers] | None:
    """A row's answers by seed; None if those of any run cannot be read."""
    by_seed = {result.run.seed: answers.get(result.run.id) for result in row.done}
    known = {seed: given for seed, given in by_seed.items() if given is not None}
    return known if len(known) == len(by_seed) else None


def _statistics(metric: Metric, answers: Sequence[Sequence[Answers]]) -> np.ndarray:
    """(techniques, seeds, examples, k), of techniques with the same test examples.

    One call counts all, so that they share classes and centres.
    """
    assert metric.statistics is not None
    gold = answers[0][0][1]
    flat = [prediction for seeds in answers for predictions, _ in seeds for prediction in predictions]
    counted = metric.statistics(flat, gold * (len(answers) * len(answers[0]))).astype(np.float64)
    return counted.reshape(len(answers), len(answers[0]), len(gold), -1)


def _differences(metric: Metric, labels: Sequence[str], outcome: TrialOutcome) -> tuple[Difference, ...]:
    differences = []
    pairs = itertools.combinations(labels, 2)
    for (first, second), value, p, adjusted, ends in zip(
        pairs, outcome.differences, outcome.ps, holm(outcome.ps), outcome.intervals, strict=True
    ):
        interval = (float(ends[0]), float(ends[1])) if np.isfinite(ends).all() else None
        if not metric.higher_is_better:
            value, interval = -value, interval and (-interval[1], -interval[0])
        differences.append(Difference(first, second, float(value), interval, float(p), float(adjusted)))
    return tuple(differences)


def holm(ps: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for their number, step down (Holm 1979), in their order."""
    ps = np.asarray(ps, dtype=float)
    order = np.argsort(ps, kind="stable")
    stepped = np.maximum.accumulate(ps[order] * (len(ps) - np.arange(len(ps))))
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def letters(labels: Sequence[str], differences: Sequence[Difference]) -> dict[str, str]:
    """Letters shared by techniques that do not differ significantly (Piepho 2004); "a" is the best group's."""
    groups = [set(labels)]
    for difference in differences:
        if not difference.significant:
            continue
        split = []
        for group in groups:
            if {difference.first, difference.second} <= group:
                split += [group - {difference.first}, group - {difference.second}]
            else:
                split.append(group)
        groups = [g for n, g in enumerate(split) if not any(g < o or (g == o and m < n) for m, o in enumerate(split))]
    groups.sort(key=lambda group: sorted(labels.index(label) for label in group))
    names = "abcdefghijklmnopqrstuvwxyz"
    return {
        label: "".join(names[n % 26] * (n // 26 + 1) for n, group in enumerate(groups) if label in group)
        for label in labels
    }
