"""Test examples that depend on each other, from the data's columns to the record, the predictions and the report."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.contracts.runs import make, make_run
from tests.records import Write
from tunebench.evaluation.intervals import intervals
from tunebench.evaluation.metrics import METRICS
from tunebench.report import build_rescored
from tunebench.tasks.base import Task
from tunebench.tasks.load import load

TEXTS = pd.DataFrame(
    {
        "text": [f"text {n} of many" for n in range(60)],
        "label": [("bad", "good", "fair")[n % 3] for n in range(60)],
        "author": [f"author {n // 4}" for n in range(60)],
    }
)


def own(path: Path, objective: str = "sequence_classification", **fields: Any) -> Task:
    return Task.model_validate({"name": "own", "objective": objective, "data": str(path), **fields})


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    TEXTS.to_csv(tmp_path / "texts.csv", index=False)
    return tmp_path / "texts.csv"


def test_a_group_column_numbers_the_test_examples(texts: Path) -> None:
    data = load(own(texts, columns={"group": "author"}, split={"test": 0.5}))
    assert data.test_groups is not None
    authors = {example.text: author for example, author in zip(data.splits["test"], data.test_groups, strict=True)}  # type: ignore[attr-defined]
    expected = dict(zip(TEXTS["text"], TEXTS["author"], strict=True))
    pairs = {(expected[text], group) for text, group in authors.items()}
    assert len(pairs) == len({expected[text] for text in authors}) == len(set(data.test_groups))


def test_splits_by_a_column_make_its_values_groups(texts: Path) -> None:
    assert load(own(texts)).test_groups is None
    data = load(own(texts, split={"by": "author", "test": 0.2}))
    assert data.test_groups == (0,) * 4 + (1,) * 4 + (2,) * 4
    assert data.notes[-1] == "The 12 test examples form 3 groups: intervals are over groups."


def test_questions_about_one_context_are_a_group_without_being_asked(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"who won {n}",
            "context": f"maria won cup {n // 3}",
            "answers": ["maria"],
            "article": str(n // 30),
        }
        for n in range(60)
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load(own(path, "question_answering", split={"test": 0.5}))
    assert data.test_groups is not None
    contexts = [example.context for example in data.splits["test"]]  # type: ignore[attr-defined]
    assert len(set(zip(contexts, data.test_groups, strict=True))) == len(set(contexts)) == len(set(data.test_groups))
    articles = load(own(path, "question_answering", split={"test": 0.5}, columns={"group": "article"})).test_groups
    assert articles is not None
    assert len(set(articles)) == 2


def test_sentences_of_words_one_per_row_have_the_group_of_their_first_word(tmp_path: Path) -> None:
    words = [(f"w{n}", "B-PER" if n % 2 else "O", f"s{n // (2 + n % 2)}", f"document {n // 30}") for n in range(120)]
    pd.DataFrame(words, columns=["word", "tag", "sentence", "document"]).to_csv(tmp_path / "words.csv", index=False)
    columns = {"tokens": "word", "label": "tag", "sentence": "sentence", "group": "document"}
    data = load(own(tmp_path / "words.csv", "token_classification", columns=columns, split={"test": 0.6}))
    assert data.test_groups is not None
    assert len(set(data.test_groups)) == 4


def test_a_record_says_how_many_groups_there_are_and_predictions_alone_give_its_intervals(
    study: Write, backbones: dict[str, Path], data_root: Path, tmp_path: Path, texts: Path
) -> None:
    task = {**own(texts).model_dump(), "columns": {"group": "author"}, "split": {"test": 0.5}}
    run = make_run(backbones["bert"], data_root, task, "tfidf")
    result = make(run, tmp_path / "runs" / run.id)
    rows = [json.loads(line) for line in (tmp_path / "runs" / run.id / "predictions.jsonl").read_text().splitlines()]
    groups = [row["group"] for row in rows]
    assert result.data.test_groups == len(set(groups)) < len(rows)
    answers, gold = ([row[name] for row in rows] for name in ("prediction", "reference"))
    metric = METRICS["macro_f1"]
    assert result.intervals["macro_f1"] == intervals([metric], answers, gold, groups)["macro_f1"]
    assert result.intervals["macro_f1"] != intervals([metric], answers, gold)["macro_f1"]
    assert result.interval_methods["macro_f1"] == "wilson"
    out = study(result)
    before = (out / "results.json").read_bytes()
    assert build_rescored(out)[1:] == ([], [])
    assert (out / "results.json").read_bytes() == before


def test_a_report_of_an_earlier_version_says_how_its_intervals_were_computed(study: Write) -> None:
    from tests.records import done

    earlier = done("full", 0.9)
    out = study(earlier)
    assert "percentile bootstrap intervals" in (out / "report.md").read_text()
    out = study(earlier.model_copy(update={"interval_methods": {"accuracy": "wilson", "macro_f1": "wilson"}}))
    written = (out / "report.md").read_text()
    assert "percentile bootstrap intervals" not in written
    assert "Interval: Wilson's, for the effective number of examples" in written
