"""Checks of a study's records and predictions for mistakes that the scores alone do not show."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done
from tunebench.report import text
from tunebench.report.read.comparisons import Comparison
from tunebench.report.read.predictions import Answers
from tunebench.report.stats import enough
from tunebench.report.stats.corrections import LEVEL
from tunebench.report.stats.paired import Pairs
from tunebench.report.stats.rates import edges, trains, untuned_rates
from tunebench.report.stats.underfitting import underfitted

Finding = tuple[str, str, str | None, int]
"""Code, message, technique and seed; the technique is None if the whole comparison is concerned."""

_BUDGET = {
    "epochs": "epochs",
    "batch_size": "batch size",
    "patience": "patience",
    "validation_rows": "validation examples",
    "validation_beams": "validation beams",
}
"""Training settings that define the budget and the stopping rule."""

_CONSTANT = 0.99  # share of equal answers: the rest may be noise


def checks(
    comparison: Comparison,
    tests: Pairs | None,
    answers: Mapping[str, Answers | None],
    *,
    searched: bool = False,
    equal_seconds: bool = False,
) -> list[Finding]:
    """All findings of a comparison.

    Args:
        comparison: one model on one task.
        tests: its paired tests, if any.
        answers: by run id.
        searched: whether a search chose the settings.
        equal_seconds: whether techniques have different numbers of epochs because they have equal seconds.
    """
    findings: list[Finding] = []
    for row in comparison.rows:
        for result in row.done:
            of_run = [*_of_run(result, _predictions(answers, result)), *_padded(result, answers.get(result.run.id))]
            findings += [(code, message, row.label, result.run.seed) for code, message in of_run]
    findings += _unmoved(comparison, answers)
    for message, row in edges(comparison):
        findings += [("edge_of_grid", message, row.label, result.run.seed) for result in row.done]
    findings += [
        (code, message, None, 0) for code, message in _of_comparison(comparison, tests, searched, equal_seconds)
    ]
    return findings


def _predictions(answers: Mapping[str, Answers | None], result: Done) -> list[Any] | None:
    given = answers.get(result.run.id)
    return given[0] if given else None


def _of_run(result: Done, answers: Sequence[Any] | None) -> Iterator[tuple[str, str]]:
    if answers and len(answers) > 1 and all(isinstance(answer, str) for answer in answers):
        (answer, count), *_ = Counter(answers).most_common(1)
        if count >= _CONSTANT * len(answers):
            shown = text.one_line(answer, 60) or "(empty)"
            yield "constant_answer", f"{count} of {len(answers)} test answers are “{shown}”."
    if result.best_epoch is None:
        return
    yield from _of_history(result)


def _padded(result: Done, given: Answers | None) -> Iterator[tuple[str, str]]:
    """Scored positions that hold no word, or likelihoods of more or fewer tokens than the inputs have."""
    if not given or not given[0] or not isinstance(given[0][0], list | dict):  # one answer per text has no positions
        return
    rows = list(zip(*given, strict=True))
    metric = METRICS.get(result.main_metric.name)
    sets = metric is not None and metric.form == "classes"  # of labels: they have no positions
    wrong = sum(isinstance(answer, list) and len(answer) != len(gold) for answer, gold in rows if not sets)
    if wrong:
        yield (
            "padded_positions",
            f"In {wrong} of {len(rows)} test sentences the number of predicted tags differs from the number of words: "
            "padding was scored.",
        )
    counts = [answer["tokens"] for answer, _ in rows if isinstance(answer, dict) and "tokens" in answer]
    total = result.data.tokens.get("test")
    if counts and total is not None and sum(counts) != total - len(counts):
        yield (
            "padded_positions",
            f"{sum(counts):,} test tokens were scored instead of {total - len(counts):,} (all except the first of each "
            "text): padding was scored, or tokens are missing.",
        )


def _of_history(result: Done) -> Iterator[tuple[str, str]]:
    message = underfitted(result)
    if message:
        yield "underfitted", message
    training = result.run.training
    epochs, rows = training.get("epochs"), result.data.rows.get("train")
    share, batch = training.get("warmup_fraction"), training.get("batch_size")
    if not isinstance(epochs, int) or not isinstance(batch, int) or not isinstance(share, float):
        return
    if share and rows and result.cost.epochs < epochs:
        steps = math.ceil(rows / batch)
        if (result.best_epoch or 0) * steps <= math.ceil(steps * epochs * share):
            yield (
                "stopped_in_warmup",
                "The run stopped early, and its best epoch ended before the learning rate reached its peak: more "
                "patience or a shorter warm-up may change the result.",
            )


def _unmoved(comparison: Comparison, answers: Mapping[str, Answers | None]) -> Iterator[Finding]:
    """Techniques that trained, but answer exactly as the untuned model."""
    untuned = next((row for row in comparison.rows if row.untuned), None)
    if untuned is None:
        return
    start = {result.run.seed: _predictions(answers, result) for result in untuned.done}
    for row in comparison.rows:
        for result in row.done if trains(row) else ():
            given = _predictions(answers, result)
            if given and given == start.get(result.run.seed):
                message = "It trained, but its test answers are identical to the untuned model's."
                yield "unmoved", message, row.label, result.run.seed


def _of_comparison(
    comparison: Comparison, tests: Pairs | None, searched: bool, equal_seconds: bool
) -> Iterator[tuple[str, str]]:
    results = [result for row in comparison.rows for result in row.done]
    untuned = None if searched else untuned_rates(comparison)
    if untuned:
        yield "untuned_rates", untuned
    budget = {name: what for name, what in _BUDGET.items() if name != "epochs" or not equal_seconds}
    unequal = [what for name, what in budget.items() if len({r.run.training.get(name) for r in results}) > 1]
    if unequal:
        yield "unequal_budgets", f"The budgets of the techniques differ in {', '.join(unequal)}."
    codes = {json.dumps(result.environment.get("packages"), sort_keys=True) for result in results}
    if len(codes) > 1:
        yield "mixed_versions", "Runs used different versions of tunebench or its libraries (see Environment)."
    if tests:
        yield from _too_few_examples(comparison, tests)


def _too_few_examples(comparison: Comparison, tests: Pairs) -> Iterator[tuple[str, str]]:
    """How many test examples the difference between the best two runs needs, for a power of 80 %."""
    if known := enough.examples(comparison, tests):
        count, needed = known
        first = tests.differences[0]
        yield (
            "too_few_examples",
            f"{first.first} is {text.score(first.value)} better than {first.second}, which is not significant with "
            f"{count:,} test examples: a difference of this size needs about {enough.rounded(needed)} to be "
            f"significant in four of five studies (level {LEVEL}, corrected).",
        )
