"""Mistakes that figures alone do not show, looked for in every study's records and predictions."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunebench.evaluation.metrics import METRICS
from tunebench.records import Done
from tunebench.report import text
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.costs import validation_mean
from tunebench.report.read.predictions import Answers
from tunebench.report.stats.paired import LEVEL, Pairs

Finding = tuple[str, str, str | None, int]
"""Code, message, technique and seed; no technique: it is about the comparison."""

_BUDGET = {
    "epochs": "epochs",
    "batch_size": "batch sizes",
    "patience": "patience",
    "validation_rows": "validation examples",
    "validation_beams": "beams on validation",
}
"""Training settings that are the budget and the stopping rule."""

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
            said = [*_of_run(result, _predictions(answers, result)), *_padded(result, answers.get(result.run.id))]
            found += [(code, message, row.label, result.run.seed) for code, message in said]
    found += _unmoved(comparison, answers)
    found += _edge_of_grid(comparison)
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


def _padded(result: Done, given: Answers | None) -> Iterator[tuple[str, str]]:
    """Positions that hold no word: more or fewer of them were scored than there are words, or tokens to predict."""
    if not given or not given[0] or not isinstance(given[0][0], list | dict):  # one answer a text has no positions
        return
    rows = list(zip(*given, strict=True))
    metric = METRICS.get(result.main_metric.name)
    sets = metric is not None and metric.form == "classes"  # of labels: they have no positions
    wrong = sum(isinstance(answer, list) and len(answer) != len(gold) for answer, gold in rows if not sets)
    if wrong:
        yield (
            "padded_positions",
            f"{wrong} of {len(rows)} test sentences have another number of predicted tags than of words: positions "
            "that are no words were scored.",
        )
    counts = [answer["tokens"] for answer, _ in rows if isinstance(answer, dict) and "tokens" in answer]
    there = result.data.tokens.get("test")
    if counts and there is not None and sum(counts) != there - len(counts):
        yield (
            "padded_positions",
            f"{sum(counts):,} test tokens were scored; {there - len(counts):,} have one before them to be predicted "
            "from: padding was scored, or tokens were left out.",
        )


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


def _edge_of_grid(comparison: Comparison) -> Iterator[Finding]:
    """Techniques of several learning rates, of which the lowest or the highest is the best on validation."""
    grids: dict[str, list[tuple[float, float, Row]]] = {}
    for row in comparison.rows:
        if not row.done or not _trains(row):
            continue
        run, score = row.done[0].run, validation_mean(comparison, row)
        settings = {name: value for name, value in run.settings.items() if name != "learning_rate"}
        rate = run.settings.get("learning_rate")
        if rate is not None and score is not None:
            same = json.dumps([run.technique, settings, run.training], sort_keys=True)
            grids.setdefault(same, []).append((rate, score, row))
    for grid in grids.values():
        rates = sorted({rate for rate, _, _ in grid})
        choose = max if comparison.main and comparison.main[1] else min
        best = choose(score for _, score, _ in grid)
        chosen = [(rate, row) for rate, score, row in grid if score == best]
        if len(rates) < 2 or any(rates[0] < rate < rates[-1] for rate, _ in chosen):
            continue
        for rate, row in chosen:
            where, way = ("lowest", "lower") if rate == rates[0] else ("highest", "higher")
            message = (
                f"The best on validation of {len(rates)} learning rates ({', '.join(f'{r:g}' for r in rates)}) is the "
                f"{where}: a {way} one may be better."
            )
            for result in row.done:
                yield "edge_of_grid", message, row.label, result.run.seed


def _trains(row: Row) -> bool:
    return row.parameters is not None and row.parameters.trainable > 0 and bool(row.done and row.done[0].best_epoch)


def _of_comparison(comparison: Comparison, tests: Pairs | None) -> Iterator[tuple[str, str]]:
    results = [result for row in comparison.rows for result in row.done]
    unequal = [what for name, what in _BUDGET.items() if len({r.run.training.get(name) for r in results}) > 1]
    if unequal:
        yield "unequal_budgets", f"Techniques were given different {', '.join(unequal)}."
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
    if first.significant or first.interval is None or not count or first.value <= 0:
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
