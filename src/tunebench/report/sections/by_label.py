"""F1 of each technique per label or entity type, and confusion matrices."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunebench.evaluation.entities import entities
from tunebench.evaluation.metrics import METRICS
from tunebench.report import text
from tunebench.report.blocks import Block, Column, Details, PageOnly, Table, TableEntry, table
from tunebench.report.read.comparisons import Comparison, Row
from tunebench.report.read.predictions import Answers
from tunebench.report.sections.base import Case

_LABELS = 20
"""With more labels a matrix is unreadable: the most frequent confusions are listed instead."""

Given = Mapping[str, Answers | None]
Pairs = Counter[tuple[Any, Any]]
"""Counts of (reference, prediction) over all seeds of a technique; tags and sets of labels are tuples."""
Counted = tuple[Row, Pairs]


def blocks(case: Case) -> list[Block]:
    """F1 per label and the best technique's confusion matrix; those of the other techniques are folded."""
    counted = labelled(case.comparison, case.answers)
    matrices = confusions(counted)
    return [*by_label(counted), *matrices[:1], *(PageOnly((Details(matrix),)) for matrix in matrices[1:])]


def labelled(comparison: Comparison, answers: Given) -> list[Counted]:
    """Techniques whose answers are labels, sets of labels, or tags, best technique first."""
    techniques = []
    for row in comparison.ranked:
        given = [answers.get(result.run.id) for result in row.done]
        counts: Pairs = Counter()
        if given and row.done[0].data.labels and all(one and _count(counts, *one) for one in given) and counts:
            techniques.append((row, counts))
    return techniques


def _count(counts: Pairs, predictions: Sequence[Any], gold: Sequence[Any]) -> bool:
    """Add a run's answers; False if they are neither labels nor tags. Types are compared as sets: answers are many."""
    kinds = {*map(type, predictions), *map(type, gold)}
    if kinds == {str}:
        counts.update(zip(gold, predictions, strict=True))
        return True
    each = itertools.chain.from_iterable
    if kinds == {list} and {*map(type, each(predictions)), *map(type, each(gold))} <= {str}:
        counts.update(zip(map(tuple, gold), map(tuple, predictions), strict=True))
        return True
    return False


def by_label(counted: Sequence[Counted]) -> list[Table]:
    """F1 of each technique per label (tags: per entity type); empty if answers are no labels."""
    if not counted:
        return []
    form = _form(*counted[0])
    counting = {"class": _labels, "classes": _sets, "tags": _entities}[form]
    counts = {row.label: counting(pairs) for row, pairs in counted}
    names = sorted({name for count in counts.values() for name in count})
    seeds = {row.label: len(row.done) for row, _ in counted}
    first = counted[0][0].label
    columns = [
        Column("Entity type" if form == "tags" else "Label", numeric=False),
        Column("Support"),
        *(Column(row.label, note="F1") for row, _ in counted),
    ]
    rows = []
    for name in names:
        scores = {label: _f1(count.get(name, (0, 0, 0))) for label, count in counts.items()}
        best = max(scores.values())
        support = counts[first].get(name, (0, 0, 0))[2] // seeds[first]
        shown = [TableEntry(f"{value:.3f}", best=0 < value == best, order=value) for value in scores.values()]
        rows.append([name, text.count(support), *shown])
    what = "entity type" if form == "tags" else "label"
    return [table(f"F1 per {what}{_over(seeds)}", columns, rows)]


def confusions(counted: Sequence[Counted]) -> list[Table]:
    """One confusion matrix per technique, best technique first; only of single labels."""
    counted = [(row, pairs) for row, pairs in counted if _form(row, pairs) == "class"]
    labels = list(dict.fromkeys(label for row, _ in counted for result in row.done for label in result.data.labels))
    matrix: Callable[..., Table] = _matrix if len(labels) <= _LABELS else _most_frequent
    return [matrix(row, pairs, labels) for row, pairs in counted]


def _matrix(row: Row, counts: Counter[tuple[str, str]], labels: Sequence[str]) -> Table:
    others = sorted({answer for _, answer in counts} - set(labels))  # "(no label)", say
    columns = [Column("True label", numeric=False), *(Column(label) for label in [*labels, *others])]
    rows = []
    for true in labels:
        total = sum(counts[true, answer] for answer in [*labels, *others])
        fields = [(answer, counts[true, answer]) for answer in [*labels, *others]]
        rows.append(
            [
                true,
                *(
                    TableEntry(text.count(n), order=n, shade=n / total if total else 0.0, best=answer == true and n > 0)
                    for answer, n in fields
                ),
            ]
        )
    return table(
        f"Confusion matrix of {row.label}{_over({row.label: len(row.done)})}: true labels in rows, answers in columns",
        columns,
        rows,
        fixed=True,
    )


def _most_frequent(row: Row, counts: Counter[tuple[str, str]], labels: Sequence[str]) -> Table:
    wrong = Counter({pair: n for pair, n in counts.items() if pair[0] != pair[1]})
    ordered = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:_LABELS]
    rows = [[true, answer, text.count(n)] for (true, answer), n in ordered]
    columns = [Column("True label", numeric=False), Column("Predicted label", numeric=False), Column("Count")]
    shown = f"The {len(rows)} most frequent of {text.plural(len(wrong), 'confusion')} of {row.label}"
    return table(f"{shown} ({text.plural(len(labels), 'label')}){_over({row.label: len(row.done)})}", columns, rows)


def _form(row: Row, pairs: Pairs) -> str:
    """What answers are (`Metric.form`): a label, a set of labels, or tags."""
    if isinstance(next(iter(pairs))[0], str):
        return "class"
    metric = METRICS.get(row.done[0].main_metric.name)
    return "classes" if metric is not None and metric.form == "classes" else "tags"


def _labels(pairs: Pairs) -> dict[str, tuple[int, int, int]]:
    """By label: how often it was predicted correctly, predicted, and true."""
    answered, there = Counter(), Counter()
    for (true, answer), times in pairs.items():
        answered[answer] += times
        there[true] += times
    return {label: (pairs[label, label], answered[label], there[label]) for label in there}


def _sets(pairs: Pairs) -> dict[str, tuple[int, int, int]]:
    """The same for sets of labels."""
    return _in_common(pairs, frozenset)


def _entities(pairs: Pairs) -> dict[str, tuple[int, int, int]]:
    """The same for entities, by type."""
    return _in_common(pairs, entities, lambda span: span[0])


def _in_common(
    pairs: Pairs, members: Callable[[Any], frozenset[Any]], name: Callable[[Any], str] = str
) -> dict[str, tuple[int, int, int]]:
    hits, answered, there = Counter(), Counter(), Counter()
    for (true_answer, predicted_answer), times in pairs.items():
        predicted, true = members(predicted_answer), members(true_answer)
        for counts, group in ((hits, predicted & true), (answered, predicted), (there, true)):
            for member in group:
                counts[name(member)] += times
    return {kind: (hits[kind], answered[kind], there[kind]) for kind in there}


def _f1(counts: tuple[int, int, int]) -> float:
    hits, answered, there = counts
    return 2 * hits / (answered + there) if answered + there else 0.0


def _over(seeds: Mapping[str, int]) -> str:
    most = max(seeds.values())
    return f", {most} seeds pooled" if most > 1 else ""
