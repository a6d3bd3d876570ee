"""Test examples on which the scores of techniques differ most, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunebench.evaluation.entities import spans
from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.report import text
from tunebench.report.blocks import Block, Column, Details, PageOnly, Table, TableEntry, table
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.predictions import Answers
from tunebench.report.sections.base import Case

_SHOWN, _LISTED = 6, 100
_COLUMNS = 4
"""Techniques that a table shows at first."""
_LENGTH = 300  # characters of a text
_BOUNDED = ("fraction", "correlation")
RIGHT, WRONG = "✓", "✗"

Given = Mapping[str, Answers | None]
Inputs = Sequence[str] | None


@dataclass(frozen=True)
class Examples:
    """The test examples on which techniques differ, those that differ most first.

    Attributes:
        answered: answers and references by technique, best technique first.
        scores: of each example by technique.
        inputs: the text of each example.
        order: numbers of the examples.
        texts: whether answers are free text.
    """

    metric: Metric
    answered: Mapping[str, Answers]
    scores: Mapping[str, np.ndarray]
    inputs: Inputs
    order: tuple[int, ...]
    texts: bool

    @property
    def gold(self) -> Sequence[Any]:
        """The references."""
        return next(iter(self.answered.values()))[1]


def blocks(case: Case) -> list[Block]:
    """The examples on which techniques differ most; folded: more of them, and the first examples' generated texts."""
    given = (case.comparison, case.answers, case.inputs)
    found = differing(*given)
    folded = [*(every(found) if found else ()), *sample(*given)]
    return [*(most(found) if found else ()), *(PageOnly((Details(shown),)) for shown in folded)]


def most(found: Examples) -> list[Table]:
    """The first few examples: side by side, or, where answers are texts, one table per example."""
    order = found.order[:_SHOWN]
    if found.texts:
        return [_texts(found.metric, found.answered, found.scores, found.inputs, n) for n in order]
    return [_side_by_side("Test examples on which techniques differ most", found, order)]


def every(found: Examples) -> list[Table]:
    """The same examples and more of them, as rows of one table that a page filters; empty if there are no more."""
    if len(found.order) <= _SHOWN:
        return []
    total, order = len(found.order), found.order[:_LISTED]
    which = f"The {len(order)} of {total:,}" if total > len(order) else f"All {total:,}"
    return [_side_by_side(f"{which} test examples on which techniques differ", found, order)]


def differing(comparison: Comparison, answers: Given, inputs: Inputs) -> Examples | None:
    """The examples on which techniques differ; the untuned model is excluded.

    An example's score is the main metric of it alone (for correlations: the absolute error). Its spread is the
    standard deviation over techniques (of a perplexity's logarithm); ties keep the order of the data. The first seed
    that all techniques have is shown.

    Args:
        comparison: its rows ranked.
        answers: by run id.
        inputs: the text of each test example; None if predictions.jsonl lacks it.

    Returns:
        None where the answers cannot be compared example by example, or none differs.
    """
    if comparison.main is None or comparison.main[0] not in METRICS:
        return None
    metric = METRICS[comparison.main[0]]
    answered = _of_one_seed(comparison, answers)
    if len(answered) < 2:
        return None
    gold = next(iter(answered.values()))[1]
    if any(references != gold for _, references in answered.values()):
        return None
    scores = {label: _scores(metric, predictions, gold) for label, (predictions, _) in answered.items()}
    spread = _spread(metric, list(scores.values()))
    order = tuple(int(n) for n in np.argsort(-spread, kind="stable") if spread[n] > 1e-9)
    known = inputs if inputs is not None and len(inputs) == len(gold) else None
    texts = _are_texts(comparison, answered)
    return Examples(metric, answered, scores, known, order, texts) if order else None


def sample(comparison: Comparison, answers: Given, inputs: Inputs, count: int = 3) -> list[Table]:
    """The first test examples with the text that each technique generated; empty for other answers."""
    if comparison.main is None or comparison.main[0] not in METRICS:
        return []
    answered = _of_one_seed(comparison, answers, untuned=True)
    if not answered:
        return []
    metric, gold = METRICS[comparison.main[0]], next(iter(answered.values()))[1]
    if not _are_texts(comparison, answered) or any(references != gold for _, references in answered.values()):
        return []
    scores = {label: _scores(metric, predictions, gold) for label, (predictions, _) in answered.items()}
    return [_texts(metric, answered, scores, inputs, n) for n in range(min(count, len(gold)))]


def _of_one_seed(comparison: Comparison, answers: Given, untuned: bool = False) -> dict[str, Answers]:
    """Best technique first."""
    rows = [row for row in comparison.ranked if row.done and (untuned or not row.untuned)]
    seeds = [{result.run.seed for result in row.done if answers.get(result.run.id)} for row in rows]
    shared = set.intersection(*seeds) if seeds else set()
    if not shared:
        return {}
    return {row.label: given for row in rows if (given := _given(row, min(shared), answers))}


def _given(row: Row, seed: int, answers: Given) -> Answers | None:
    return next((answers.get(result.run.id) for result in row.done if result.run.seed == seed), None)


def _scores(metric: Metric, predictions: Sequence[Any], gold: Sequence[Any]) -> np.ndarray:
    """One score per example, in the metric's unit; for a correlation the absolute error."""
    if metric.unit == "correlation" or metric.statistics is None:
        return np.abs(np.asarray(predictions, float) - np.asarray(gold, float))
    return metric.combine(metric.statistics(predictions, gold).astype(float))


def _spread(metric: Metric, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation over techniques per example; of logarithms if the metric has no upper bound."""
    known = np.stack(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.std(known if metric.unit in _BOUNDED else np.log(known), axis=0)
    return np.nan_to_num(spread, posinf=0.0)


def _are_texts(comparison: Comparison, answered: Mapping[str, Answers]) -> bool:
    """Whether answers are free text."""
    labelled = any(result.data.labels for row in comparison.rows for result in row.done)
    return not labelled and all(isinstance(answer, str) for given, _ in answered.values() for answer in given)


def _side_by_side(caption: str, found: Examples, order: Sequence[int]) -> Table:
    inputs, metric = found.inputs, found.metric
    likelihoods = isinstance(next(iter(found.answered.values()))[0][0], dict)
    columns = [
        Column("Test example"),
        *([Column("Input", numeric=False)] if inputs else []),
        Column("True", numeric=False, note="" if inputs or metric.form != "tags" else "type: word positions"),
        *(
            Column(label, note=metric.title if likelihoods else "", numeric=likelihoods, usual=place < _COLUMNS)
            for place, label in enumerate(found.answered)
        ),
    ]
    rows = [
        [
            str(n),
            *([_cut(inputs[n])] if inputs else []),
            TableEntry(_shown(metric, found.gold[n], inputs[n] if inputs else None), labels=_labels(found, n)),
            *(
                _answer(metric, predictions[n], found.gold[n], found.scores[label][n], inputs[n] if inputs else None)
                for label, (predictions, _) in found.answered.items()
            ),
        ]
        for n in order
    ]
    return table(caption, columns, rows)


def _labels(found: Examples, n: int) -> tuple[str, ...]:
    """What an example is filtered by: its label, its labels, or the types of its entities."""
    gold = found.gold[n]
    if found.metric.form == "tags":
        return tuple(dict.fromkeys(kind for kind, _, _ in spans(gold))) or ("no entity",)
    if found.metric.form == "classes":
        return tuple(gold) or ("no label",)
    return (gold,) if found.metric.form == "class" else ()


def _answer(metric: Metric, prediction: Any, true: Any, score: float, words: str | None) -> TableEntry:
    if isinstance(prediction, dict):  # likelihoods
        return TableEntry(text.score(float(score)), order=float(score))
    if isinstance(prediction, float | int):
        return TableEntry(f"{prediction:.2f}", f"off by {score:.2f}", order=float(score))
    if metric.form == "text" and isinstance(prediction, str):
        return TableEntry(_cut(prediction) or "(empty)", f"{metric.title} {text.score(float(score))}")
    mark = RIGHT if prediction == true else WRONG
    return TableEntry(f"{mark} {_shown(metric, prediction, words)}")


def _shown(metric: Metric, answer: Any, words: str | None) -> str:
    if metric.form == "classes":
        return _cut(", ".join(answer) or "no label")
    if metric.form == "text":
        return _cut(answer if isinstance(answer, str) else " / ".join(answer))
    if isinstance(answer, list):
        return _entities(answer, words.split(" ") if words else [])
    return f"{answer:.2f}" if isinstance(answer, float) else _cut(str(answer))


def _entities(tags: list[str], words: Sequence[str]) -> str:
    """Entity types with their words, or with word positions if the input is unknown or truncated."""
    named = []
    for kind, first, last in spans(tags):
        place = str(first + 1) if first == last else f"{first + 1}-{last + 1}"
        named.append(f"{kind}: {' '.join(words[first : last + 1]) if len(words) == len(tags) else place}")
    return ", ".join(named) or "no entity"


def _texts(
    metric: Metric, answered: Mapping[str, Answers], scores: Mapping[str, np.ndarray], inputs: Inputs, n: int
) -> Table:
    gold = next(iter(answered.values()))[1][n]
    columns = [Column("Technique", numeric=False), Column("Text", numeric=False), Column(metric.title)]
    rows: list[list[TableEntry | str]] = [
        ["(reference)", _cut(gold if isinstance(gold, str) else " / ".join(gold)), text.ABSENT]
    ]
    for label, (predictions, _) in answered.items():
        value = float(scores[label][n])
        rows.append([label, _cut(predictions[n]) or "(empty)", TableEntry(text.score(value), order=value)])
    asked = f": “{_cut(inputs[n])}”" if inputs and n < len(inputs) else ""
    return table(f"Test example {n}{asked}", columns, rows, fixed=True)


def _cut(words: str) -> str:
    return text.one_line(words, _LENGTH)
