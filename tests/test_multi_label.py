"""Any number of labels per text: two column forms, a sigmoid head, words, and a threshold from the validation split."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from tests.contracts.runs import make, make_run
from tests.contracts.test_objectives import gradient
from tests.tiny import EMOTION_WORDS
from tunebench._util.errors import UserError
from tunebench.evaluation.metrics import METRICS
from tunebench.families import families
from tunebench.objectives import objectives
from tunebench.report.read.predictions import read_answers
from tunebench.report.sections import by_label
from tunebench.serve.finished import FinishedRun
from tunebench.tasks.base import Task
from tunebench.tasks.examples import TextExample
from tunebench.tasks.load import load
from tunebench.tasks.problems.multi_label_classification import MultiLabelClassificationTask
from tunebench.techniques._tfidf import fit_tfidf, load_tfidf
from tunebench.techniques.base import Question

LABELS = ("anger", "joy", "love")
SETS = [[label for bit, label in enumerate(LABELS) if number >> bit & 1] for number in range(8)]
ROWS = 48


def frame() -> pd.DataFrame:
    rows = [SETS[number % 8] for number in range(ROWS)]
    texts = [
        " ".join(["i feel", *(EMOTION_WORDS[label][n % 2] for label in row), "very"]) for n, row in enumerate(rows)
    ]
    return pd.DataFrame({"text": texts, "labels": rows})


def write(path: Path, table: pd.DataFrame) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".json":
        path.write_text(json.dumps(table.to_dict("records")), "utf-8")
    else:
        table.to_parquet(path)
    return path


def task(path: Path, **fields: Any) -> MultiLabelClassificationTask:
    made = Task.model_validate(
        {"name": "moods", "objective": "multi_label_classification", "data": str(path), **fields}
    )
    assert isinstance(made, MultiLabelClassificationTask)
    return made


@pytest.fixture(scope="module")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("moods") / "moods.json", frame())


# Reading --------------------------------------------------------------------------------------------------------------


def json_lists(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(labels=table["labels"].map(json.dumps))


def words(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(labels=table["labels"].map(" ".join))


def indicators(table: pd.DataFrame) -> pd.DataFrame:
    columns = {label: table["labels"].map(lambda row, label=label: int(label in row)) for label in LABELS}
    return table[["text"]].assign(**columns)


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
@pytest.mark.parametrize("form", [lambda table: table, json_lists, words, indicators])
def test_lists_words_and_columns_of_0_and_1_give_the_same_examples(form: Any, ending: str, tmp_path: Path) -> None:
    if ending == "csv" and form(frame()).equals(frame()):
        form = json_lists  # csv has no lists
    columns = {"columns": {"labels": ["love", "anger", "joy"]}} if form is indicators else {}
    data = load(task(write(tmp_path / f"moods.{ending}", form(frame())), **columns))
    expected = load(task(write(tmp_path / "plain.parquet", frame())))
    assert data.labels == LABELS
    assert data.splits == expected.splits
    assert {example.label for example in data.splits["train"]} >= {(), (0, 1, 2)}  # type: ignore[attr-defined]


def test_labels_in_a_stated_order_are_indexed_in_it_and_answers_are_sorted_by_name(moods: Path) -> None:
    stated = task(moods, labels=["love", "joy", "anger"])
    data = load(stated)
    both = next(row for row in data.splits["train"] if stated.references([row], data.labels) == [SETS[5]])  # type: ignore[arg-type]
    assert SETS[5] == ["anger", "love"]
    assert both.label == (0, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [2, "yes", None])
def test_an_indicator_that_is_not_0_or_1_is_reported_with_its_place(value: Any, tmp_path: Path) -> None:
    table = indicators(frame()).astype({"joy": object})
    table.loc[3, "joy"] = value
    with pytest.raises(UserError, match=r"row 4: the column 'joy' has .*, not 0 or 1"):
        load(task(write(tmp_path / "moods.csv", table), columns={"labels": list(LABELS)}))


def test_a_label_outside_the_list_is_reported_with_its_row(moods: Path) -> None:
    with pytest.raises(UserError, match=r"row \d+: the label 'love' is not in the list: anger, joy"):
        load(task(moods, labels=["anger", "joy"]))


def test_labels_that_are_no_list_are_reported_with_their_row(tmp_path: Path) -> None:
    table = frame().astype({"labels": object})
    table.at[3, "labels"] = {"joy": 1}
    with pytest.raises(UserError, match=r"row 4: the labels .* are not a list of words"):
        load(task(write(tmp_path / "moods.json", table)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1.5}, r"threshold: 1.5 is not between 0 and 1"),
        ({"threshold": "test"}, "threshold"),
        ({"columns": {"labels": ["anger", "joy"]}, "labels": ["anger", "love"]}, "are not the columns"),
        ({"hidden_label": -1}, "hidden_label"),
        ({"metrics": ["macro_f1"]}, "has no metric 'macro_f1'"),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields: dict[str, Any], message: str, moods: Path) -> None:
    with pytest.raises((ValidationError, UserError), match=message):
        task(moods, **fields)


# The sigmoid head -----------------------------------------------------------------------------------------------------


def posed(kind: str, backbone: Path, made: Task) -> tuple[Any, Any]:
    family, data = families()[kind], load(made)
    name = made.objective_of(family.auto_classes)
    return objectives()[str(name)](made, data.labels, family.tokenizer(backbone), max_tokens=32), data


def test_decoding_the_gold_logits_gives_gold(backbones: dict[str, Path], moods: Path) -> None:
    objective, data = posed("bert", backbones["bert"], task(moods))
    gold = data.splits["train"][:8]
    features = objective.encode(gold)
    labels = objective.collate(features, range(8))["labels"]
    predictions, probabilities = objective.decode((labels * 2 - 1) * 9, features, range(8))
    assert labels.dtype == torch.float32
    assert predictions == objective.task.references(gold, data.labels)
    assert torch.allclose(torch.tensor(probabilities), labels.double().float(), atol=1e-3)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_micro_batches_have_the_gradient_of_the_large_batch(kind: str, backbones: dict[str, Path], moods: Path) -> None:
    objective, data = posed(kind, backbones[kind], task(moods))
    features = objective.encode(data.splits["train"])
    head = objective.head(data.labels)
    model: Any = families()[kind].load(backbones[kind], objective.name, head).eval()
    whole = gradient(objective, features, model, None)
    assert whole.abs().max() > 0.01
    torch.testing.assert_close(gradient(objective, features, model, 3), whole, rtol=1e-4, atol=1e-6)


def test_a_threshold_decides_which_labels_belong_to_a_text(backbones: dict[str, Path], moods: Path) -> None:
    logits = torch.tensor([[0.5, 0.2, 0.8]]).logit()
    for threshold, expected in ((0.15, LABELS), (0.5, ("anger", "love")), (0.9, ()), ("validation", ("anger", "love"))):
        objective, _ = posed("bert", backbones["bert"], task(moods, threshold=threshold))
        assert objective.decode(logits, None, [0])[0] == [list(expected)]


def test_the_threshold_with_the_best_validation_score_is_settled(backbones: dict[str, Path], moods: Path) -> None:
    objective, _ = posed("bert", backbones["bert"], task(moods, threshold="validation"))
    details = [[0.32, 0.1, 0.1], [0.1, 0.31, 0.28], [0.28, 0.2, 0.4]]
    summary, text = objective.settle(details, [["anger"], ["joy"], ["love"]])
    assert summary == {"threshold": 0.3}
    assert "0.30" in text
    assert objective.decode(torch.tensor(details).logit(), None, range(3))[0] == [["anger"], ["joy"], ["love"]]


# Words ----------------------------------------------------------------------------------------------------------------


def test_label_sets_survive_the_way_through_words(moods: Path) -> None:
    made = task(moods)
    for labels in SETS:
        assert made.answer_of(made.in_words(labels), LABELS) == labels
    assert made.in_words([]) == "none"


def test_parts_that_are_no_label_are_dropped_and_counted(moods: Path) -> None:
    made = task(moods)
    written = ["Joy , hope", "none", "anger, love", ""]
    answers = [made.answer_of(text, LABELS) for text in written]
    assert answers == [["joy"], [], ["anger", "love"], []]
    sentence = made.unreadable(answers, [{"text": text} for text in written], LABELS)
    assert sentence == "2 of 4 test answers contained a part that is not a label; it was ignored."


@pytest.mark.parametrize("label", ["sad, lonely", "None"])
def test_a_label_that_cannot_be_written_is_refused(label: str, moods: Path) -> None:
    with pytest.raises(UserError, match=f"cannot use the label '{label}'"):
        task(moods).target_of(TextExample("i feel", ()), ("joy", label))


# Runs -----------------------------------------------------------------------------------------------------------------


def fields(path: Path, **more: Any) -> dict[str, Any]:
    return {"objective": "multi_label_classification", "data": str(path), "max_new_tokens": 8, **more}


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_a_run_settles_its_threshold_on_validation_and_answers_new_texts_with_it(
    kind: str, backbones: dict[str, Path], moods: Path, data_root: Path, tmp_path: Path
) -> None:
    run = make_run(backbones[kind], data_root, fields(moods, threshold="validation"), "full", epochs=1)
    done = make(run, tmp_path)
    threshold = done.summary["threshold"]
    assert f"The threshold {threshold:.2f} " in next(n.message for n in done.notices if n.code == "settled")
    assert done.metrics.validation == done.history[0].validation
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        above = [label for label, value in zip(LABELS, row["scores"], strict=True) if value >= threshold]
        assert row["prediction"] == above
    asked = FinishedRun.load(tmp_path).predict([rows[0]["input"]])[0]
    assert asked["labels"] == rows[0]["prediction"]
    assert asked["scores"] == pytest.approx(dict(zip(LABELS, rows[0]["scores"], strict=True)), abs=1e-5)


def test_an_encoder_decoder_writes_labels_and_counts_what_is_none(
    backbones: dict[str, Path], moods: Path, data_root: Path, tmp_path: Path
) -> None:
    done = make(make_run(backbones["t5"], data_root, fields(moods), "full", epochs=1), tmp_path)
    assert "threshold" not in done.summary
    assert set(done.metrics.test) == {"micro_f1", "label_macro_f1", "subset_accuracy"}
    assert any("a part that is not a label" in notice.message for notice in done.notices if notice.code == "unreadable")
    (answer,) = FinishedRun.load(tmp_path).predict(["i feel happy"])
    assert set(answer["labels"]) <= set(LABELS)


def test_the_classical_baseline_finds_the_labels_words_and_survives_its_file(moods: Path, tmp_path: Path) -> None:
    made = task(moods)
    data: Any = load(made)
    never = (*data.labels, "never")
    fitted = fit_tfidf(data.splits["train"], Question(made, never), 10.0, 1.0)
    predictions, probabilities = fitted.predict(data.splits["test"])
    assert METRICS["micro_f1"].compute(predictions, made.references(data.splits["test"], never)) > 0.9
    assert {row[-1] for row in probabilities} == {0.0}
    fitted.save(tmp_path)
    assert load_tfidf(tmp_path, made.form, never).predict(data.splits["test"]) == (predictions, probabilities)


def test_f1_on_each_label_counts_sets_of_labels_not_tags() -> None:
    pairs = Counter({(("joy", "love"), ("joy",)): 2, ((), ("love",)): 1, (("love",), ("love", "joy")): 3})
    assert by_label._sets(pairs) == {"joy": (2, 5, 2), "love": (3, 4, 5)}


def test_answers_of_a_run_are_read_as_lists(
    backbones: dict[str, Path], moods: Path, data_root: Path, tmp_path: Path
) -> None:
    make(make_run(backbones["bert"], data_root, fields(moods), "tfidf"), tmp_path / "runs" / "one")
    answers = read_answers(tmp_path, "one")
    assert answers is not None
    assert all(isinstance(row, list) for side in answers for row in side)
