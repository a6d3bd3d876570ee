"""What holds for every built-in task: its record is whole, and gold scores the maximum."""

from pathlib import Path

import pytest

from tunebench.engine.evaluate import score
from tunebench.evaluation.metrics import METRICS
from tunebench.tasks import load as data
from tunebench.tasks import tasks

ROWS = {
    "instruction": {"train": 15_569, "validation": 1_946, "test": 1_946},
    "emotion": {"train": 16_000, "validation": 2_000, "test": 2_000},
    "ner": {"train": 14_041, "validation": 3_250, "test": 3_453},
    "question_answering": {"train": 10_689, "validation": 1_188, "test": 10_570},
    "sentiment": {"train": 22_500, "validation": 2_500, "test": 25_000},
    "summarization": {"train": 880, "validation": 1_000, "test": 500},
    "similarity": {"train": 5_749, "validation": 1_500, "test": 1_379},
}
CARVED = {
    "instruction": ["The validation split", "The test split"],
    "question_answering": [
        "There",
        "The validation split",
        "The 10,570 test examples form 2,067 groups: intervals are over groups.",
    ],
    "sentiment": ["The validation split"],
}


def test_the_folder_holds_the_tasks_that_are_promised() -> None:
    assert sorted(tasks()) == [
        "emotion",
        "instruction",
        "ner",
        "question_answering",
        "sentiment",
        "similarity",
        "summarization",
    ]


@pytest.mark.parametrize("name", sorted(tasks()))
def test_a_record_names_its_data_licence_citation_and_metrics(name: str) -> None:
    task = tasks()[name]
    assert task.name == name
    assert task.hub is not None
    assert "{split}" in task.hub.files
    assert task.folder
    assert task.licence
    assert "http" in task.citation
    assert all(metric in METRICS for metric in task.metrics)


@pytest.mark.parametrize("name", sorted(tasks()))
def test_gold_scores_the_maximum(name: str, data_root: Path) -> None:
    task = tasks()[name]
    examples = data.load(task, data_root)
    gold = task.references(examples.splits["test"], examples.labels)
    if task.objective == "causal_lm":  # gold is certain of every token
        certain = {"response_nll": 0.0, "response_tokens": 1, "nll": 0.0, "tokens": 1}
        gold = [certain] * len(gold)
    guess = [
        answers if isinstance(answers, str) or task.objective != "question_answering" else answers[-1]
        for answers in gold
    ]
    assert score(task.metrics, guess, gold) == pytest.approx(dict.fromkeys(task.metrics, 1.0))


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(tasks()))
def test_real_data_has_the_official_rows(name: str, real_data: Path) -> None:
    examples = data.load(tasks()[name], real_data)
    assert {split: len(rows) for split, rows in examples.splits.items()} == ROWS[name]
    assert [note.split(" is ")[0] for note in examples.notes] == CARVED.get(name, [])


@pytest.mark.real
def test_the_real_entities_are_the_official_ones(real_data: Path) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    examples = data.load(tasks()["ner"], real_data)
    gold = tasks()["ner"].references(examples.splits["test"], examples.labels)
    kinds = [kind for tags in gold for kind, _, _ in get_entities(tags)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}
