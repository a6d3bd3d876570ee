"""Every shipped data set: the hub's columns, splits that share nothing, the same rows everywhere, and no giveaway."""

import hashlib
import importlib
import json
from collections import Counter
from typing import Any

import pytest

from tunebench.tasks import load as data
from tunebench.tasks import tasks
from tunebench.zoo import embedded

COLUMNS = {
    "emotion": {"text", "label"},
    "instruction": {"instruction", "input", "output", "text"},
    "ner": {"id", "tokens", "ner_tags"},
    "question_answering": {"id", "title", "context", "question", "answers"},
    "sentiment": {"text", "label"},
    "similarity": {"sentence1", "sentence2", "label", "idx"},
    "summarization": {"article", "highlights", "id"},
}
INPUT = {
    "emotion": "text",
    "instruction": "text",
    "ner": "tokens",
    "question_answering": "context",
    "sentiment": "text",
    "similarity": "sentence1",
    "summarization": "article",
}

# Changing a generator changes every figure measured on its rows: that is to be meant.
FINGERPRINTS = {
    "emotion": "5e2d72607076cb7fe027276b1f9fda3530e150b3e34a13995ad0023759cb85f8",
    "instruction": "6ecc82a6c24d2a3b4d07bf6b02ececa16f9af32f94cd7726a28def5c5b8dab9a",
    "ner": "7ab7536cf5b37bb6dbd192f28a4dfd8f900610852b4e6db9750031bde2de8781",
    "question_answering": "9d7c85700596769e706ad413ff7f96bfc7b5dc97a68cbfa021beee9adfb94900",
    "sentiment": "4f4670d76b7417b80a75fc34b21f741a0621d75c81c52bef46befdead3c1325e",
    "similarity": "0e16c4a07968a4c20fa9e32d31049ad94ec0d378106f3b360e7c4a530b7bd773",
    "summarization": "e553f0604d595456e317d7791c911e99bde35f6f3c364d329158ca5e5ce89abb",
}


def identity(name: str, row: dict[str, Any]) -> str:
    """What makes two rows the same for a model."""
    keys = {"similarity": ("sentence1", "sentence2"), "question_answering": ("context", "question")}
    return json.dumps([row[key] for key in keys.get(name, (INPUT[name],))]).casefold()


def test_there_is_a_data_set_for_each_of_the_seven_tasks() -> None:
    assert set(embedded.DATA) == set(COLUMNS)
    assert set(tasks()) <= set(embedded.DATA)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_data_set_has_the_hubs_columns_and_a_few_hundred_rows(name: str) -> None:
    splits = embedded.rows(name)
    assert list(splits) == ["train", "validation", "test"]
    assert all(set(row) == COLUMNS[name] for rows in splits.values() for row in rows)
    assert 500 <= len(splits["train"]) <= 2000
    assert len(splits["validation"]) >= 100
    assert len(splits["test"]) >= 200


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_no_text_occurs_twice_within_or_across_splits(name: str) -> None:
    rows = [identity(name, row) for split in embedded.rows(name).values() for row in split]
    twice = [text for text, count in Counter(rows).items() if count > 1]
    assert twice == []


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_data_set_is_the_same_rows_each_time(name: str) -> None:
    generate = importlib.import_module(f"tunebench.zoo.embedded.{name}").rows
    once, again = (hashlib.sha256(json.dumps(rows).encode()).hexdigest() for rows in (embedded.rows(name), generate()))
    assert once == again == FINGERPRINTS[name]


def test_contexts_are_not_shared_across_splits() -> None:
    splits = embedded.rows("question_answering")
    seen = {split: {row["context"] for row in rows} for split, rows in splits.items()}
    assert not seen["train"] & (seen["validation"] | seen["test"])
    assert not seen["validation"] & seen["test"]


def test_every_answer_stands_where_it_says() -> None:
    for rows in embedded.rows("question_answering").values():
        for row in rows:
            for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
                assert row["context"][start : start + len(text)] == text


def test_tags_are_legal_iob2() -> None:
    names = tasks()["ner"].labels
    for rows in embedded.rows("ner").values():
        for row in rows:
            tags = [names[tag] for tag in row["ner_tags"]]
            assert len(tags) == len(row["tokens"])
            for before, tag in zip(["O", *tags], tags, strict=False):
                assert not tag.startswith("I-") or before[2:] == tag[2:], row


@pytest.mark.parametrize("name", ["emotion", "sentiment"])
def test_every_class_occurs_in_every_split(name: str) -> None:
    labels = [{row["label"] for row in rows} for rows in embedded.rows(name).values()]
    assert labels[0] == labels[1] == labels[2]


def test_a_score_lies_between_0_and_5() -> None:
    assert all(0 <= row["label"] <= 5 for rows in embedded.rows("similarity").values() for row in rows)


@pytest.mark.parametrize("name", sorted(tasks()))
def test_a_built_in_task_reads_its_shipped_data(name: str) -> None:
    task = tasks()[name].model_copy(update={"data": "embedded"})
    loaded = data.load(task)
    assert loaded.source == f"embedded {name}"
    assert {split: len(rows) for split, rows in loaded.splits.items()} == {
        split: len(rows) for split, rows in embedded.rows(name).items()
    }
