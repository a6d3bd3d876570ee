"""Data are read by fixed rules: carved, limited and inferred parts are reported, and errors name their place."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tiny import write_data_root
from tunebench._util.errors import UserError
from tunebench.tasks import tasks
from tunebench.tasks.base import Task
from tunebench.tasks.examples import PromptExample, TextExample
from tunebench.tasks.load import SPLITS, Data, load
from tunebench.tasks.problems.token_classification import TokensExample


def as_lists(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records"))


def write_separated(frame: pd.DataFrame, path: Path, separator: str) -> None:
    flat = frame.map(lambda value: json.dumps(value) if isinstance(value, list) else value)
    flat.to_csv(path, index=False, sep=separator)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "csv": lambda frame, path: write_separated(frame, path, ","),
    "tsv": lambda frame, path: write_separated(frame, path, "\t"),
    "jsonl": lambda frame, path: path.write_text("".join(json.dumps(row) + "\n" for row in as_lists(frame)), "utf-8"),
    "json": lambda frame, path: path.write_text(json.dumps(as_lists(frame)), "utf-8"),
    "parquet": lambda frame, path: frame.to_parquet(path),
}

COUNT = 30
TEXTS = pd.DataFrame(
    {
        "text": [f'text {n}, "quoted"\tnaïve' for n in range(COUNT)],
        "label": [("bad", "good", "fair")[n % 3] for n in range(COUNT)],
    }
)
SCORES = pd.DataFrame(
    {
        "text": [f"one {n}" for n in range(COUNT)],
        "other": [f"two {n}" for n in range(COUNT)],
        "label": [n / 10 for n in range(COUNT)],
    }
)
TAGGED = pd.DataFrame(
    {"tokens": [["John", "ran", f"x{n}"] for n in range(30)], "tags": [["B-PER", "O", "O"] for _ in range(30)]}
)


def own(path: Path | dict[str, str], objective: str = "sequence_classification", **fields: Any) -> Task:
    data = path if isinstance(path, dict) else str(path)
    return Task.model_validate({"name": "own", "objective": objective, "data": data, **fields})


def loaded(folder: Path, rows: Any, objective: str = "sequence_classification", **fields: Any) -> Data:
    """Load rows, written as JSON lines."""
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return load(own(path, objective, **fields))


def refusal(task: Task, data_root: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(task, data_root)
    return str(caught.value)


def texts(data: Data, split: Any) -> list[str]:
    return [example.text for example in data.splits[split] if isinstance(example, TextExample)]


def labelled(count: int = 30) -> list[dict[str, Any]]:
    return [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(count)]


# Own files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_of_each_format_gives_the_same_classification_examples(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    WRITERS[ending](TEXTS, path)
    data = load(own(path))

    assert data.labels == ("bad", "fair", "good")
    assert data.source == str(path)
    examples = [example for split in SPLITS for example in data.splits[split]]
    expected = [TextExample(text, data.labels.index(label)) for text, label in TEXTS.itertuples(index=False)]
    assert sorted(examples, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_of_each_format_gives_the_same_scored_pairs(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    WRITERS[ending](SCORES, path)
    data = load(own(path, "regression", columns={"pair": "other"}))

    assert data.labels == ()
    examples = [example for split in SPLITS for example in data.splits[split]]
    expected = [TextExample(text, score, other) for text, other, score in SCORES.itertuples(index=False)]
    assert sorted(examples, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_of_each_format_gives_the_same_tagged_sentences(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    WRITERS[ending](TAGGED, path)
    data = load(own(path, "token_classification"))

    assert data.labels == ("B-PER", "O")
    examples = [example for split in SPLITS for example in data.splits[split]]
    expected = [TokensExample(("John", "ran", f"x{n}"), (0, 1, 1)) for n in range(30)]
    assert sorted(examples, key=repr) == sorted(expected, key=repr)


def test_tokens_and_tags_may_be_words_separated_by_blanks(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("tokens,tags\n" + "John ran,B-PER O\n" * 10)

    assert load(own(path, "token_classification")).splits["train"][0] == TokensExample(("John", "ran"), (0, 1))


def test_a_list_that_is_no_json_is_refused_not_split_at_its_blanks(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    TAGGED.to_csv(path, index=False)  # pandas writes lists as Python does

    assert refusal(own(path, "token_classification")) == (
        f"task 'own': {path}, train split, row 1: the list ['B-PER', 'O', 'O'] is not JSON. "
        'Write ["like", "this"], or words separated by blanks.'
    )


def test_columns_are_mapped_by_role(tmp_path: Path) -> None:
    rows = [{"id": n, "review": f"text {n}", "stars": n % 5} for n in range(20)]
    data = loaded(tmp_path, rows, columns={"text": "review", "label": "stars"})

    assert data.labels == ("0", "1", "2", "3", "4")
    by_text = {example.text: example.label for example in data.splits["train"] if isinstance(example, TextExample)}
    assert by_text == {f"text {n}": n % 5 for n in range(20) if f"text {n}" in by_text}


def test_labels_in_a_stated_order_are_kept_in_it(tmp_path: Path) -> None:
    data = loaded(tmp_path, labelled(), labels=["b", "a", "never"])

    assert data.labels == ("b", "a", "never")
    assert {example.label for example in data.splits["train"] if example.text.endswith("0")} == {1}  # type: ignore[union-attr]


def test_integer_labels_index_the_stated_list(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": n % 2} for n in range(20)]
    data = loaded(tmp_path, rows, labels=["negative", "positive"])

    assert all(example.label == int(example.text.split()[1]) % 2 for example in data.splits["train"])  # type: ignore[union-attr]


def test_inferred_integer_labels_are_ordered_by_value(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": (10, 9, -1)[n % 3]} for n in range(30)]

    assert loaded(tmp_path, rows).labels == ("-1", "9", "10")


def test_inferred_labels_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    assert loaded(tmp_path, labelled()).labels == loaded(tmp_path, labelled()[::-1]).labels == ("a", "b")


def test_words_that_look_like_missing_values_are_words(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "NA,None\nnull,some\n" * 10)
    data = load(own(path))

    assert data.labels == ("None", "some")
    assert {text for split in SPLITS for text in texts(data, split)} == {"NA", "null"}


def test_json_text_of_digits_stays_text(tmp_path: Path) -> None:
    rows = [{"text": "007", "label": "01"}, {"text": "1e3", "label": "02"}] * 10
    data = loaded(tmp_path, rows)

    assert data.labels == ("01", "02")
    assert {text for split in SPLITS for text in texts(data, split)} == {"007", "1e3"}


# Splits ---------------------------------------------------------------------------------------------------------------


def test_one_file_is_carved_into_three_disjoint_splits_by_the_stated_rule(tmp_path: Path) -> None:
    data = loaded(tmp_path, labelled(50))

    by_split = {split: texts(data, split) for split in SPLITS}
    assert {split: len(rows) for split, rows in by_split.items()} == {"train": 40, "validation": 5, "test": 5}
    assert sorted(itertools.chain(*by_split.values())) == sorted(row["text"] for row in labelled(50))
    assert data.notes == (
        "The validation split is 5 rows carved from train (10 %, shuffle seeded with 0).",
        "The test split is 5 rows carved from train (10 %, shuffle seeded with 0).",
    )


def test_carving_is_seeded_and_shuffled(tmp_path: Path) -> None:
    first, second = loaded(tmp_path, labelled(50)), loaded(tmp_path, labelled(50))

    assert first == second
    numbers = [int(text.split()[1]) for text in texts(first, "test")]
    assert max(numbers) - min(numbers) > len(numbers), "a shuffle, not the last rows"
    assert numbers == sorted(numbers), "the rows' order is kept"


def test_a_validation_split_without_a_test_split_becomes_the_test_split(tmp_path: Path) -> None:
    files = {}
    for split, count in (("train", 40), ("validation", 8)):
        rows = [{"text": f"{split} {n}", "label": "ab"[n % 2]} for n in range(count)]
        files[split] = str(tmp_path / f"{split}.csv")
        pd.DataFrame(rows).to_csv(files[split], index=False)
    data = load(own(files))

    assert texts(data, "test") == [f"validation {n}" for n in range(8)]
    assert {text.split()[0] for text in texts(data, "validation")} == {"train"}
    assert (len(data.splits["train"]), len(data.splits["validation"])) == (36, 4)
    assert not set(texts(data, "train")) & set(texts(data, "validation"))
    assert data.notes == (
        "There is no test split: the validation split is the test split.",
        "The validation split is 4 rows carved from train (10 %, shuffle seeded with 0).",
    )


def test_a_test_split_without_a_validation_split_is_left_alone(tmp_path: Path) -> None:
    files = {}
    for split in ("train", "test"):
        files[split] = str(tmp_path / f"{split}.csv")
        pd.DataFrame({"text": [f"{split} {n}" for n in range(20)], "label": ["a", "b"] * 10}).to_csv(
            files[split], index=False
        )
    data = load(own(files))

    assert texts(data, "test") == [f"test {n}" for n in range(20)]
    assert (len(data.splits["train"]), len(data.splits["validation"])) == (18, 2)
    assert data.notes == ("The validation split is 2 rows carved from train (10 %, shuffle seeded with 0).",)


@pytest.mark.parametrize("alias", ["validation", "valid", "val", "dev"])
def test_a_folder_of_splits_is_found_by_their_names(alias: str, tmp_path: Path) -> None:
    for split in ("train", alias, "test"):
        WRITERS["jsonl"](pd.DataFrame({"text": [split] * 4, "label": ["a", "b"] * 2}), tmp_path / f"{split}.jsonl")
    data = load(own(tmp_path))

    assert [set(texts(data, split)) for split in SPLITS] == [{"train"}, {alias}, {"test"}]
    assert data.notes == ()


def test_hidden_test_scores_are_not_used(tmp_path: Path) -> None:
    root = write_data_root(tmp_path)
    path = root / "stsb" / "test.parquet"
    hidden = pd.read_parquet(path)
    hidden["label"] = -1.0
    hidden.to_parquet(path)
    validation = pd.read_parquet(root / "stsb" / "validation.parquet")
    data = load(tasks()["similarity"], root)

    assert texts(data, "test") == validation["sentence1"].tolist()
    assert len(data.splits["train"]) + len(data.splits["validation"]) == 96
    assert data.notes == (
        "The test split's labels are withheld (-1); it is not used.",
        "There is no test split: the validation split is the test split.",
        "The validation split is 10 rows carved from train (10 %, shuffle seeded with 0).",
    )


def test_visible_test_scores_are_used_as_they_are(data_root: Path) -> None:
    data = load(tasks()["similarity"], data_root)

    assert data.notes == ()
    assert texts(data, "test") == pd.read_parquet(data_root / "stsb" / "test.parquet")["sentence1"].tolist()


def test_a_limit_of_rows_draws_them_by_a_seeded_shuffle(data_root: Path) -> None:
    limited = tasks()["emotion"].model_copy(update={"rows": {"train": 20, "test": 10_000}})
    data, whole = load(limited, data_root), load(tasks()["emotion"], data_root)

    assert len(data.splits["train"]) == 20
    assert data.splits["train"] != whole.splits["train"][:20]
    assert set(texts(data, "train")) <= set(texts(whole, "train"))
    assert data.splits["test"] == whole.splits["test"]
    assert data.notes == ("20 of 96 train rows, drawn by a shuffle seeded with 0.",)
    assert load(limited, data_root) == data


@pytest.mark.parametrize("name", ["emotion", "ner", "similarity"])
def test_a_data_root_gives_the_built_in_tasks(name: str, data_root: Path) -> None:
    task = tasks()[name]
    data = load(task, data_root)

    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 96, "validation": 36, "test": 36}
    assert data.labels == task.labels
    assert data.source == f"{data_root.name}/{task.folder}"
    first = pd.read_parquet(data_root / str(task.folder) / "train.parquet").iloc[0]
    example = data.splits["train"][0]
    if isinstance(example, TokensExample):
        assert example == TokensExample(tuple(first["tokens"]), tuple(first["ner_tags"]))
    else:
        assert (example.text, example.label) == (first[task.columns["text"]], first["label"])


# Fingerprint ----------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_examples_not_of_the_file(tmp_path: Path) -> None:
    prints = set()
    for ending in ("csv", "parquet"):
        path = tmp_path / f"data.{ending}"
        WRITERS[ending](TEXTS, path)
        prints.add(load(own(path)).fingerprint())

    assert len(prints) == 1
    assert re.fullmatch("[0-9a-f]{64}", prints.pop())


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[3].update(text="another"),
        lambda rows: rows[3].update(label="a" if rows[3]["label"] == "b" else "b"),
        lambda rows: rows.reverse(),
        lambda rows: rows.pop(),
    ],
    ids=["text", "label", "order", "count"],
)
def test_any_change_of_the_examples_changes_the_fingerprint(change: Any, tmp_path: Path) -> None:
    rows = labelled()
    before = loaded(tmp_path, rows).fingerprint()
    change(rows)

    assert loaded(tmp_path, rows).fingerprint() != before


# Mistakes -------------------------------------------------------------------------------------------------------------


def test_a_wrong_column_is_reported_with_the_closest_one(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("txet,label\nx,a\n")

    assert refusal(own(path)) == (
        f"task 'own': {path}, train split has no column 'text' (for text). "
        "Did you mean 'txet'? Name it with columns: {text: NAME}."
    )


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert (
        refusal(own(tmp_path / "no.csv"))
        == f"task 'own': there is no file {tmp_path / 'no.csv'}. Check the path under data."
    )


def test_an_unknown_ending_is_reported_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "data.xlsx"
    path.write_text("x")

    assert refusal(own(path)) == (
        f"task 'own': {path} is not in a supported format. Use one of .csv, .tsv, .jsonl, .json, .parquet, .arrow, "
        ".feather."
    )


@pytest.mark.parametrize("content", ["", "text,label\n"], ids=["no bytes", "header only"])
def test_an_empty_file_is_reported(content: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(content)

    assert refusal(own(path)) == f"task 'own': the train split of {path} is empty. Give at least one row."


def test_too_few_rows_to_carve_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\nx,a\ny,b\n")

    assert refusal(own(path)) == (
        "task 'own': 2 rows are too few to carve a validation and a test split from. "
        "Give more, or files of these splits."
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.json", b"{"),
        ("data.jsonl", b'{"text": "x", "label": \n'),
        ("data.csv", b'text,label\n"never closed'),
        ("data.csv", b"text,label\n\xe9\xff,a\n"),
        ("data.parquet", b"PAR1 and then nothing of use"),
        ("data.parquet", b""),
    ],
)
def test_a_malformed_file_is_reported_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(own(path))

    assert re.match(rf"task 'own': {re.escape(str(path))}( cannot be read as (JSON|parquet) \(|, line 2: )", message)
    assert "\n" not in message


def test_one_class_only_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, [{"text": "x", "label": "a"}] * 20)
    assert str(caught.value) == (
        "task 'own': the training split has only one class (a). Give examples of at least two classes."
    )


def test_a_label_outside_the_stated_list_is_reported_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "x,a\n" * 6 + "y,c\n" + "x,b\n" * 6)

    assert re.fullmatch(
        re.escape(f"task 'own': {path}, ")
        + r"\w+ split, row 7: the label 'c' is not in the list: a, b\. Correct it, .*",
        refusal(own(path, labels=["a", "b"])),
    )


def test_a_label_that_only_the_test_split_has_is_reported(tmp_path: Path) -> None:
    files = {}
    for split, label in (("train", "b"), ("test", "c")):
        files[split] = str(tmp_path / f"{split}.csv")
        Path(files[split]).write_text("text,label\n" + f"x,a\ny,{label}\n" * 6)

    message = refusal(own(files))
    assert message.endswith(
        "test split, row 2: the label 'c' is not in the list: a, b. Correct it, or name every label with labels: [...]."
    )


def test_an_integer_label_beyond_the_stated_list_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row \d+: the label '2' is not in the list: 0, 1\."):
        loaded(tmp_path, [{"text": "x", "label": n % 3} for n in range(20)], labels=["a", "b"])


@pytest.mark.parametrize("value", [["a"], {"a": "1"}], ids=str)
def test_a_label_that_is_no_word_is_reported(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, [{"text": "x", "label": value}] * 20)
    assert str(caught.value) == (
        f"task 'own': {tmp_path / 'data.jsonl'}, train split, row 1: the label {value!r} is neither a word nor "
        "a number. Give one label per row."
    )


def test_tokens_and_tags_of_different_length_are_reported_with_their_row(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", "b"], "tags": ["O", "B-X"]}] * 20 + [{"tokens": ["a", "b"], "tags": ["O"]}]

    with pytest.raises(UserError, match=r"row 21: 2 tokens but 1 tag\. Give one tag for each token\."):
        loaded(tmp_path, rows, "token_classification")


def test_a_sentence_without_tokens_is_reported_with_its_row(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", "b"], "tags": ["O", "B-X"]}] * 20 + [{"tokens": [], "tags": []}]

    with pytest.raises(UserError, match=r"row 21: it has no token\. Remove the row\."):
        loaded(tmp_path, rows, "token_classification")


@pytest.mark.parametrize("column", ["text", "label"])
def test_missing_values_are_counted_and_told(column: str, tmp_path: Path) -> None:
    rows = labelled(20)
    files = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    pd.DataFrame(rows).to_csv(files["test"], index=False)
    for row in rows[:4]:
        row[column] = None
    pd.DataFrame(rows).to_csv(files["train"], index=False)
    whole = own({**files, "validation": files["test"]})

    message = refusal(whole)
    assert message.endswith(
        f"train split: 4 rows, the first is row 1, have no value in column '{column}'. Fill or remove them."
    )


@pytest.mark.parametrize(
    ("value", "shown"), [("high", "'high'"), (None, "None"), ("inf", "'inf'"), ([1], "['1']"), ("", "''")]
)
def test_a_score_that_is_no_number_is_reported_with_its_row(value: Any, shown: str, tmp_path: Path) -> None:
    rows = [{"text": "x", "label": 1.5}] * 20 + [{"text": "x", "label": value}]

    with pytest.raises(UserError, match=rf"row 21: the score ({re.escape(shown)}|nan) is not a number\."):
        loaded(tmp_path, rows, "regression")


def test_a_data_root_without_the_folder_is_reported_with_the_way_out(tmp_path: Path) -> None:
    assert refusal(tasks()["similarity"], tmp_path) == (
        f"task 'similarity': the data root has no folder {tmp_path / 'stsb'}. Put stsb/train.parquet there, "
        "or omit --data-root to load the data from the hub."
    )


def test_a_data_root_without_a_train_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "stsb").mkdir()

    message = refusal(tasks()["similarity"], tmp_path)
    assert message == f"task 'similarity': {tmp_path / 'stsb'} contains no train.parquet."


def test_a_folder_of_own_data_without_a_train_file_is_reported(tmp_path: Path) -> None:
    assert refusal(own(tmp_path)) == (
        f"task 'own': folder {tmp_path} contains no train file (train.csv, train.parquet, ...)."
    )


@pytest.mark.parametrize(
    ("name", "dataset", "folder"),
    [
        ("emotion", "dair-ai/emotion", "emotion"),
        ("ner", "eriktks/conll2003", "conll2003"),
        ("similarity", "nyu-mll/glue", "stsb"),
    ],
)
def test_without_network_and_copy_the_ways_out_are_reported(
    name: str, dataset: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    assert refusal(tasks()[name]) == (
        f"task '{name}': the data set {dataset} is not on this machine, and the hub cannot be reached. "
        f"Give --data-root DIR with DIR/{folder}/<split>.parquet, or run once with network access."
    )


# Prompts --------------------------------------------------------------------------------------------------------------

ASKED = {"instruction": "ask", "input": "about", "response": "reply"}


def prompts(data: Data) -> list[PromptExample]:
    return [example for split in data.splits.values() for example in split if isinstance(example, PromptExample)]


def test_a_prompt_leaves_the_line_of_an_empty_field_out(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("ask,about,reply\n" + 'Add {them}.,"1, 2",3\nSay hello.,,Hello!\n' * 10)
    filled = set(prompts(load(own(path, "causal_lm", columns=ASKED))))
    assert filled == {
        PromptExample("Instruction: Add {them}.\nInput: 1, 2\nResponse:", "3"),
        PromptExample("Instruction: Say hello.\nResponse:", "Hello!"),
    }


def test_a_prompt_may_be_written_by_the_user_and_inputs_may_be_missing(tmp_path: Path) -> None:
    rows = [{"ask": f"Question {n}?", "reply": ""} for n in range(20)]
    columns = {"instruction": "ask", "response": "reply"}
    data = loaded(tmp_path, rows, "causal_lm", columns=columns, prompt="Q: {instruction}\nA:")
    assert sorted(example.prompt for example in prompts(data))[0] == "Q: Question 0?\nA:"
    assert {example.response for example in prompts(data)} == {""}
    assert data.labels == ()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Q: {zzz}", "there is no field 'zzz'. Choose from: "),
        ("{instruktion}", "Did you mean 'instruction'"),
        ("{}", "there is no field ''"),
        ("Answer:", "the field {instruction} is missing"),
        ("{instruction", "Double a brace that is part of the text"),
    ],
)
def test_a_mistake_in_a_prompt_is_reported(prompt: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        own(tmp_path / "data.csv", "causal_lm", prompt=prompt)


def test_an_empty_instruction_is_reported_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"instruction": f"ask {n}", "response": "x"} for n in range(20)]
    rows[3]["instruction"] = "  "
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "row 4: the instruction is empty. Write one" in refusal(own(path, "causal_lm"))
    assert "has no column 'reply' (for response)" in refusal(own(path, "causal_lm", columns={"response": "reply"}))
