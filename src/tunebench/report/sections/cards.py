"""The card of a comparison: which technique to use, how good it is, what it costs, and how sure that is."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tunebench.evaluation.choice import Option
from tunebench.report import text
from tunebench.report.blocks import Card, CardChoice, Charts
from tunebench.report.charts.cost import cost_chart
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.sections.base import Case
from tunebench.report.stats import enough
from tunebench.report.stats.decision import decision, noises, scored, spared, told_apart
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.verdicts import (
    BEST_UNSHOWN,
    CLEARLY,
    EQUIVALENT,
    IN_THIS_RUN,
    TIED,
    WORSE,
    against,
    against_best,
    judge,
    margin,
)


def drawn_card(case: Case) -> Card:
    """A comparison's card with its picture."""
    made = replace(card(case.comparison, case.tests, case.accepted), anchor=case.anchor)
    if case.comparison.main is None:
        return made
    expected = case.tests.expected if case.tests else {}
    chart = cost_chart(case.comparison, case.looks, made.choice.label if made.choice else None, expected)
    return replace(made, picture=Charts((chart,))) if chart else made


def card(comparison: Comparison, tests: Pairs | None, accepted: float) -> Card:
    """What to use on one task with one model."""
    where = f"{comparison.task} with {comparison.model}"
    if not comparison.best or comparison.main is None:
        return Card(where, (), None, "No technique has a score yet.")
    made = decision(comparison, tests, accepted)
    choices = tuple(_choice(comparison, row, tests, made.options[row.label]) for row in scored(comparison))
    number = next((n for n, one in enumerate(choices) if one.label == made.chosen), None)
    doubt = " ".join(_doubt(comparison, tests))
    none = "No technique is recommended: none keeps to the rule."
    return Card(where, choices, number, none, doubt, noises(comparison))


def _choice(comparison: Comparison, row: Row, tests: Pairs | None, option: Option) -> CardChoice:
    """A technique as the card recommends it, if it does."""
    undecided = tests is not None and len(scored(comparison)) > 1 and not told_apart(comparison, tests)
    lead = "Nothing can be told apart; the cheapest by the rule is" if undecided else "Use"
    lead = "Measured alone:" if comparison.alone else lead
    rival = _rival(comparison, row, tests)
    parts = [_score(comparison, row, tests)]
    if comparison.alone:
        parts += [row.price, f"{_size(row)} saved"]
    elif rival is not None:
        parts += [_standing(comparison, row, rival, tests), ", ".join(_costs(row, rival))]
    return CardChoice(row.label, row.title, lead, tuple(filter(None, parts)), option, spared(comparison, row))


def _score(comparison: Comparison, row: Row, tests: Pairs | None) -> str:
    assert comparison.main is not None
    score = comparison.main_score(row)
    bounds = tests.expected.get(row.label) if tests else None
    bounds = bounds or score.interval
    shown = f"{text.metric_title(comparison.main[0])} {text.score(score.mean)}"
    return f"{shown} {text.interval(bounds)}" if bounds else shown


def _rival(comparison: Comparison, row: Row, tests: Pairs | None) -> Row | None:
    """What a technique is compared with: the best one; the best with that which trains the most parameters, or next."""
    if row not in comparison.best:
        outcome = against_best(comparison, row, tests) if tests else None
        equal = [best for best in comparison.best if tests and against(comparison, row, best, tests) == outcome]
        return (equal or comparison.best)[0]
    known = {row.label} if tests is None else set(tests.tested)
    others = [other for other in scored(comparison) if other is not row and (tests is None or other.label in known)]
    most = max(others, key=_trainable, default=None)
    return most if most is not None and _trainable(most) > _trainable(row) else next(iter(others), None)


def _standing(comparison: Comparison, row: Row, rival: Row, tests: Pairs | None) -> str:
    """How a technique and its rival compare; one of both has the best score."""
    shown = f"{rival.title} ({text.score(comparison.main_score(rival).mean)})"
    if tests is not None and not tests.decidable:
        return f"no verdict possible against {shown}"
    ahead = row in comparison.best
    if ahead and rival in comparison.best:
        return f"the same score as {shown}"
    pair = (rival, row) if ahead else (row, rival)
    outcome = against(comparison, *pair, tests) if tests else None
    if tests is None or outcome is None:
        return f"the best score, not tested against {shown}" if ahead else f"not tested against {shown}"
    words = {
        TIED: "statistically tied with",
        EQUIVALENT: f"equivalent (within {text.score(margin(comparison, tests))}) to",
        WORSE: f"significantly {'better' if ahead else 'worse'} than",
        CLEARLY: f"clearly {'better' if ahead else 'worse'} than",
    }
    return f"{words[outcome]} {shown}{IN_THIS_RUN if tests.one_run else ''}"


def _costs(row: Row, rival: Row) -> Iterator[str]:
    """What a technique costs, compared with its rival."""
    figures: list[tuple[str, Callable[[Row], float]]] = [
        ("trainable parameters", _trainable),
        ("training time", lambda row: row.train_seconds or 0.0),
    ]
    shares = [f"{_times(of(row), of(rival))} its {what}" for what, of in figures if of(row) > 0 and of(rival) > 0]
    if shares:
        yield f"at {', '.join(shares)}"
    elif row.baseline:
        yield "with no trained weights"
    if _size(row) != _size(rival):
        yield f"{_size(row)} instead of {_size(rival)} saved"


def _times(part: float, of: float) -> str:
    """A share in percent, or how many times as much."""
    return f"{text.share(part, of)} of" if part <= of else f"{part / of:,.3g} times"


def _size(row: Row) -> str:
    return text.megabytes(max(result.cost.saved_bytes for result in row.done))


def _trainable(row: Row) -> int:
    return row.parameters.trainable if row.parameters else 0


def _doubt(comparison: Comparison, tests: Pairs | None) -> Iterator[str]:
    """How sure the recommendation is, and what would decide."""
    if comparison.alone:
        yield "Nothing is compared: add untuned, or another technique, to see what this one is worth."
        return
    if tests is None:
        yield "No test is possible: scores count as tied where their 95 % intervals overlap."
        return
    if not tests.decidable:
        yield (
            f"With {text.plural(tests.examples, 'test example')} and {text.plural(len(tests.tested), 'technique')}, no "
            "difference can be significant."
        )
    if any(judge(comparison, row, tests) == BEST_UNSHOWN for row in comparison.best):
        run = IN_THIS_RUN if tests.one_run else ""
        yield f"The best score, that of {comparison.best[0].title}, is not shown to beat the untuned model{run}."
    yield from _enough(comparison, tests)


def _enough(comparison: Comparison, tests: Pairs) -> Iterator[str]:
    """How many test examples or seeds would decide between the best two."""
    first = enough.lead(tests)
    if first is None or first.significant:
        return
    titles = {row.label: row.title for row in comparison.rows}
    gap = f"the difference of {text.score(first.value)} between {titles[first.first]} and {titles[first.second]}"
    known, seeds = enough.examples(comparison, tests), enough.more_seeds(comparison, tests)
    if first.value <= margin(comparison, tests):
        yield f"{gap[0].upper()}{gap[1:]} is too small to matter."
    elif known:
        yield f"About {enough.rounded(known[1])} test examples (there are {known[0]:,}) would show {gap}."
    elif seeds:
        yield f"About {seeds} seeds each (there are {len(tests.seeds)}) would show {gap}."
