"""Mistakes that figures alone do not show, looked for in every study's records and predictions."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunebench.metrics import METRICS
from tunebench.report import text
from tunebench.report.comparisons import Comparison, Row
from tunebench.report.reading import Answers
from tunebench.report.statistics import LEVEL, Pairs
from tunebench.result import Done

Finding = tuple[str, str, str | None, int]
"""Code, message, technique and seed; no technique: it is about the comparison."""

_SAME = 0.99  # of the answers: the rest may be noise


def checks(comparison: Comparison, tests: Pairs | None, answers: Mapping[str, Answers | None]) -> list[Finding]:
    """What should make a reader doubt a figure.

    Args:
        comparison: one model on one task.
        tests: its paired tests, where there are any.
        answers: by run id.
    """
    found: list[Finding] = []
    for row in comparison.rows:
        for result in row.done:
            said = _of_run(result, _predictions(answers, result))
            found += [(code, message, row.label, result.run.seed) for code, message in said]
    found += _unmoved(comparison, answers)
    found += [(code, message, None, 0) for code, message in _of_comparison(comparison, tests)]
    return found


def _predictions(answers: Mapping[str, Answers | None], result: Done) -> list[Any] | None:
    given = answers.get(result.run.id)
    return given[0] if given else None


def _of_run(result: Done, answers: Sequence[Any] | None) -> Iterator[tuple[str, str]]:
    if answers and len(answers) > 1 and all(isinstance(answer, str) for answer in answers):
        (answer, count), *_ = Counter(answers).most_common(1)
        if count >= _SAME * len(answers):
            shown = text.one_line(answer, 60) or "(nothing)"
            yield "constant_answer", f"{count} of {len(answers)} answers to the test split are “{shown}”."
    if result.best_epoch is None:
        return
    yield from _of_history(result)


def _of_history(result: Done) -> Iterator[tuple[str, str]]:
    training, name = result.run.training, result.main_metric.name
    epochs, history = training.get("epochs"), [epoch.validation.get(name) for epoch in result.history]
    if epochs and result.best_epoch == epochs and epochs > 1 and None not in history[-2:]:
        gain = abs(history[-1] - history[-2])  # type: ignore[operator]
        if gain > 0.005 * max(1.0, abs(history[-1] or 0.0)):
            yield (
                "still_rising",
                f"The last epoch was the best, by {text.score(gain)} on validation: {epochs} epochs may be too few for "
                "this technique.",
            )
    share, rows, batch = (training.get("warmup_fraction"), result.data.rows.get("train"), training.get("batch_size"))
    if epochs and share and rows and batch and result.cost.epochs < epochs:
        steps = math.ceil(rows / batch)
        if (result.best_epoch or 0) * steps <= math.ceil(steps * epochs * share):
            yield (
                "stopped_in_warmup",
                "Its best epoch ended before the learning rate had reached its peak, and it was stopped early: "
                "more patience, or a shorter warm-up, may change its figure.",
            )


def _unmoved(comparison: Comparison, answers: Mapping[str, Answers | None]) -> Iterator[Finding]:
    """Techniques that trained and answer as the untuned model does."""
    untuned = next((row for row in comparison.rows if row.untuned), None)
    if untuned is None:
        return
    start = {result.run.seed: _predictions(answers, result) for result in untuned.done}
    for row in comparison.rows:
        for result in row.done if _trains(row) else ():
            given = _predictions(answers, result)
            if given and given == start.get(result.run.seed):
                message = "It trained, and every test answer is the untuned model's: nothing that counts has moved."
                yield "unmoved", message, row.label, result.run.seed


def _trains(row: Row) -> bool:
    return row.parameters is not None and row.parameters.trainable > 0 and bool(row.done and row.done[0].best_epoch)


def _of_comparison(comparison: Comparison, tests: Pairs | None) -> Iterator[tuple[str, str]]:
    results = [result for row in comparison.rows for result in row.done]
    budgets = {json.dumps({k: r.run.training.get(k) for k in ("epochs", "batch_size", "patience")}) for r in results}
    if len(budgets) > 1:
        yield "unequal_budgets", "Techniques were given different epochs, batch sizes or patience."
    codes = {json.dumps(result.environment.get("packages"), sort_keys=True) for result in results}
    if len(codes) > 1:
        yield "mixed_versions", "Runs were made by different versions of the code or its libraries (see the appendix)."
    if tests:
        yield from _too_few_examples(comparison, tests, results)


def _too_few_examples(comparison: Comparison, tests: Pairs, results: Sequence[Done]) -> Iterator[tuple[str, str]]:
    """The best and the next: how many test examples a difference of this size would need."""
    if not tests.differences or comparison.main is None or comparison.main[0] not in METRICS:
        return
    first = tests.differences[0]
    count = results[0].data.rows.get("test")
    if first.real or first.interval is None or not count or first.value <= 0:
        return
    half = (first.interval[1] - first.interval[0]) / 2
    needed = count * (half / first.value) ** 2
    if needed > count:
        yield (
            "too_few_examples",
            f"{first.first} is {text.score(first.value)} better than {first.second}, which {count:,} test examples "
            f"cannot show (at {LEVEL}): about {_rounded(needed)} would be needed.",
        )


def _rounded(number: float) -> str:
    """Two significant digits."""
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"{round(number / 10**digits) * 10**digits:,}"
