"""Test examples that some techniques answer well and others do not, side by side: where the scores come from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunebench.evaluation.entities import spans
from tunebench.evaluation.metrics import METRICS, Metric
from tunebench.report import text
from tunebench.report.blocks import Block, Column, Details, PageOnly, Table, TableEntry, table
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.predictions import Answers
from tunebench.report.sections.base import Case

_SHOWN = 6
_LENGTH = 300  # characters of a text
_BOUNDED = ("fraction", "correlation")
RIGHT, WRONG = "✓", "✗"

Given = Mapping[str, Answers | None]
Inputs = Sequence[str] | None


def blocks(case: Case) -> list[Block]:
    """The examples that divide techniques; of written texts also the first ones, folded."""
    given = (case.comparison, case.answers, case.inputs)
    return [*disagreements(*given), *(PageOnly((Details(shown),)) for shown in sample(*given))]


def disagreements(comparison: Comparison, answers: Given, inputs: Inputs) -> list[Table]:
    """The examples on which scores differ most between techniques; the untuned model does not count, it knows nothing.

    An example's score is the main metric of it alone (for correlations: the absolute error). Its spread is the
    standard deviation over techniques (of a perplexity's logarithm); equal spreads stand as in the data. One seed: the
    first that all have.

    Args:
        comparison: its rows ranked.
        answers: by run id.
        inputs: what the model read, an example each; None where predictions.jsonl does not say.
    """
    if comparison.main is None or comparison.main[0] not in METRICS:
        return []
    metric = METRICS[comparison.main[0]]
    found = _of_one_seed(comparison, answers)
    if len(found) < 2:
        return []
    gold = next(iter(found.values()))[1]
    if any(references != gold for _, references in found.values()):
        return []
    scores = {label: _scores(metric, predictions, gold) for label, (predictions, _) in found.items()}
    spread = _spread(metric, list(scores.values()))
    order = [int(n) for n in np.argsort(-spread, kind="stable")[:_SHOWN] if spread[n] > 1e-9]
    if inputs is not None and len(inputs) != len(gold):
        inputs = None
    if not order:
        return []
    if _are_texts(comparison, found):
        return [_texts(metric, found, scores, inputs, n) for n in order]
    return [_side_by_side(metric, found, scores, inputs, order)]


def sample(comparison: Comparison, answers: Given, inputs: Inputs, count: int = 3) -> list[Table]:
    """The first test examples with what each technique wrote beside the references; nothing but for written texts."""
    if comparison.main is None or comparison.main[0] not in METRICS:
        return []
    found = _of_one_seed(comparison, answers, untuned=True)
    if not found:
        return []
    metric, gold = METRICS[comparison.main[0]], next(iter(found.values()))[1]
    if not _are_texts(comparison, found) or any(references != gold for _, references in found.values()):
        return []
    scores = {label: _scores(metric, predictions, gold) for label, (predictions, _) in found.items()}
    return [_texts(metric, found, scores, inputs, n) for n in range(min(count, len(gold)))]


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
    """An example each, in the metric's unit; the absolute error where the metric is a correlation."""
    if metric.unit == "correlation" or metric.statistics is None:
        return np.abs(np.asarray(predictions, float) - np.asarray(gold, float))
    return metric.combine(metric.statistics(predictions, gold).astype(float))


def _spread(metric: Metric, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation over techniques, an example each; of logarithms where a metric has no upper bound."""
    known = np.stack(scores)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.std(known if metric.unit in _BOUNDED else np.log(known), axis=0)
    return np.nan_to_num(spread, posinf=0.0)


def _are_texts(comparison: Comparison, found: Mapping[str, Answers]) -> bool:
    """Whether answers are written freely: texts, and no labels."""
    labelled = any(result.data.labels for row in comparison.rows for result in row.done)
    return not labelled and all(isinstance(answer, str) for given, _ in found.values() for answer in given)


def _side_by_side(
    metric: Metric, found: Mapping[str, Answers], scores: Mapping[str, np.ndarray], inputs: Inputs, order: Sequence[int]
) -> Table:
    given, gold = next(iter(found.values()))
    likelihoods = isinstance(given[0], dict)
    columns = [
        Column("Test example"),
        *([Column("Input", numeric=False)] if inputs else []),
        Column("True", numeric=False, note="" if inputs or metric.form != "tags" else "type: places of words"),
        *(Column(label, note=metric.title if likelihoods else "", numeric=likelihoods) for label in found),
    ]
    rows = [
        [
            str(n),
            *([_cut(inputs[n])] if inputs else []),
            _shown(metric, gold[n], inputs[n] if inputs else None),
            *(
                _answer(metric, predictions[n], gold[n], scores[label][n], inputs[n] if inputs else None)
                for label, (predictions, _) in found.items()
            ),
        ]
        for n in order
    ]
    return table("Test examples on which techniques differ most", columns, rows)


def _answer(metric: Metric, prediction: Any, true: Any, score: float, words: str | None) -> TableEntry:
    if isinstance(prediction, dict):  # likelihoods
        return TableEntry(text.score(float(score)), order=float(score))
    if isinstance(prediction, float | int):
        return TableEntry(f"{prediction:.2f}", f"off by {score:.2f}", order=float(score))
    mark = RIGHT if prediction == true else WRONG
    return TableEntry(f"{mark} {_shown(metric, prediction, words)}")


def _shown(metric: Metric, answer: Any, words: str | None) -> str:
    if metric.form == "classes":
        return _cut(", ".join(answer) or "no label")
    if isinstance(answer, list):
        return _entities(answer, words.split(" ") if words else [])
    return f"{answer:.2f}" if isinstance(answer, float) else _cut(str(answer))


def _entities(tags: list[str], words: Sequence[str]) -> str:
    """Tags as what they mark: types with their words, or with the places of these where the input is unknown or cut."""
    found = []
    for kind, first, last in spans(tags):
        place = str(first + 1) if first == last else f"{first + 1}-{last + 1}"
        found.append(f"{kind}: {' '.join(words[first : last + 1]) if len(words) == len(tags) else place}")
    return ", ".join(found) or "no entity"


def _texts(
    metric: Metric, found: Mapping[str, Answers], scores: Mapping[str, np.ndarray], inputs: Inputs, n: int
) -> Table:
    gold = next(iter(found.values()))[1][n]
    columns = [Column("Technique", numeric=False), Column("Text", numeric=False), Column(metric.title)]
    rows: list[list[TableEntry | str]] = [
        ["(reference)", _cut(gold if isinstance(gold, str) else " / ".join(gold)), text.ABSENT]
    ]
    for label, (predictions, _) in found.items():
        value = float(scores[label][n])
        rows.append([label, _cut(predictions[n]) or "(nothing)", TableEntry(text.score(value), order=value)])
    asked = f": “{_cut(inputs[n])}”" if inputs and n < len(inputs) else ""
    return table(f"Test example {n}{asked}", columns, rows, fixed=True)


def _cut(words: str) -> str:
    return text.one_line(words, _LENGTH)
