"""Whether a technique became better from one study to another: tests on the test examples that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunebench.evaluation.choice import whole
from tunebench.evaluation.metrics import METRICS
from tunebench.report import text
from tunebench.report.read.comparisons import Row
from tunebench.report.read.matches import Match
from tunebench.report.read.predictions import Answers, Given
from tunebench.report.stats import verdicts
from tunebench.report.stats.corrections import Number
from tunebench.report.stats.paired import Difference, difference_between
from tunebench.report.stats.verdicts import IN_THIS_RUN

CLEARLY_BETTER, BETTER, WORSE, CLEARLY_WORSE = "clearly better", "better", verdicts.WORSE, verdicts.CLEARLY
EQUIVALENT, OPEN, SAME = "equivalent", "not significant", "the same answers"
UNTESTED = "not tested"

Read = Mapping[tuple[str, str], Given]
"""What a study's runs answered, by the model and the task of a comparison."""


@dataclass(frozen=True)
class Improvement:
    """How much better a technique is in the second of two studies.

    Attributes:
        seeds: those that both have; the scores are means over them.
        difference: the second study's score minus the first's, positive: better; None: not tested, for a `reason`.
        verdict: by the interval of the difference and the margin; about these runs only where there is one seed.
    """

    match: Match
    seeds: tuple[int, ...]
    scores: tuple[float | None, float | None]
    difference: Difference | None
    verdict: str = UNTESTED
    reason: str = ""


def improvements(matched: Sequence[Match], before: Read, after: Read, margin: float) -> list[Improvement]:
    """The tests of all matches, corrected for their number (Bonferroni).

    Args:
        matched: techniques of two studies.
        before: what the first study's runs answered.
        after: what the second's did.
        margin: a difference that does not matter: points; of a metric without an upper end a share of the best score.
    """
    family = Number(sum(not _hindrance(match, before, after) for match in matched))
    return [_improvement(match, before, after, margin, family) for match in matched]


def _improvement(match: Match, before: Read, after: Read, margin: float, family: Number) -> Improvement:
    seeds = _seeds(match)
    scores = _score(match.before, seeds), _score(match.after, seeds)
    bare = Improvement(match, seeds, scores, None)
    if reason := _hindrance(match, before, after):
        return replace(bare, reason=reason)
    assert match.now.main is not None
    metric = METRICS[match.now.main[0]]
    was, now = before[match.was.key], after[match.now.key]
    answers = [_answers(match.after, seeds, now), _answers(match.before, seeds, was)]
    difference = difference_between(metric, answers, now.groups or was.groups, family)
    best = max(abs(score) for score in scores if score is not None)
    same = answers[0] == answers[1]
    verdict = SAME if same else _verdict(difference, margin * whole(metric, best))
    return replace(bare, difference=difference, verdict=verdict + (IN_THIS_RUN if len(seeds) == 1 and not same else ""))


def _verdict(difference: Difference, allowed: float) -> str:
    """Of the second study; the rule speaks of the lower score."""
    outcome = verdicts.of_difference(difference, allowed)
    words = {verdicts.EQUIVALENT: EQUIVALENT, verdicts.TIED: OPEN}
    if difference.value > 0:
        words |= {verdicts.WORSE: BETTER, verdicts.CLEARLY: CLEARLY_BETTER}
    return words.get(outcome, outcome)


def _hindrance(match: Match, before: Read, after: Read) -> str:
    """Why two rows cannot be tested; empty where they can."""
    for row, when in ((match.before, "first"), (match.after, "second")):
        if not row.done:
            return f"no finished run in the {when} study ({'; '.join(row.troubles)})"
    seeds, mains = _seeds(match), (match.was.main, match.now.main)
    if mains[0] != mains[1]:
        return f"their main metrics differ: {' and '.join(text.metric_title(main[0]) for main in mains if main)}"
    if not seeds:
        return "no seed in common"
    name = mains[0][0] if mains[0] else ""
    if name not in METRICS or METRICS[name].statistics is None:
        return f"{text.metric_title(name)} is not computed from sums over examples"
    if None in (_score(match.before, seeds), _score(match.after, seeds)):
        return f"{text.metric_title(name)} is undefined"
    was = _answers(match.before, seeds, before[match.was.key])
    now = _answers(match.after, seeds, after[match.now.key])
    if len(was) < len(seeds) or len(now) < len(seeds):
        return "predictions cannot be read"
    if any(references != was[0][1] for _, references in (*was, *now)):
        return "their test examples differ"
    return ""


def _seeds(match: Match) -> tuple[int, ...]:
    both = ({result.run.seed for result in row.done} for row in (match.before, match.after))
    return tuple(sorted(set.intersection(*both)))


def _score(row: Row, seeds: Sequence[int]) -> float | None:
    """The mean main score over these seeds; None if there is none, or one is undefined."""
    values = [result.main_metric.value for result in row.done if result.run.seed in seeds]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _answers(row: Row, seeds: Sequence[int], given: Given) -> list[Answers]:
    """Of these seeds, in their order; without those that cannot be read."""
    of_seed = {result.run.seed: given.answers.get(result.run.id) for result in row.done}
    return [answers for seed in seeds if (answers := of_seed[seed]) is not None]
