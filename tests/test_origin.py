"""Data as people have them: several files, patterns, saved data sets, the hub, a split column, text from a template."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tunebench._util.errors import UserError
from tunebench.cli.texts import TextInput
from tunebench.study import Study
from tunebench.tasks.base import Task
from tunebench.tasks.load import Data, load

ROWS = [{"text": f"text {n}", "label": ("cold", "warm")[n % 2]} for n in range(20)]


def write(path: Path, rows: Sequence[Mapping[str, Any]] = ROWS) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def own(data: Any, **fields: Any) -> Task:
    return Task.model_validate({"name": "own", "objective": "sequence_classification", "data": data, **fields})


def refusal(task: Task) -> str:
    with pytest.raises(UserError) as refused:
        load(task)
    return str(refused.value)


def texts(data: Data, *splits: Any) -> list[str]:
    return [example.text for split in splits for example in data.splits[split]]  # type: ignore[attr-defined]


def study(task: dict[str, Any]) -> Study:
    return Study.model_validate({"name": "x", "experiments": [{"model": "m", "task": task, "techniques": ["full"]}]})


# Several files --------------------------------------------------------------------------------------------------------


def test_a_split_may_be_several_files_of_any_format_and_their_rows_are_reconciled(tmp_path: Path) -> None:
    parts = [write(tmp_path / "a.csv", ROWS[:8]), write(tmp_path / "b.jsonl", ROWS[8:14])]
    data = load(own({"train": parts, "validation": write(tmp_path / "v.csv", ROWS[14:17]), "test": parts[0]}))
    assert texts(data, "train") == [str(row["text"]) for row in ROWS[:14]]
    assert data.files == {"a.csv": 8, "b.jsonl": 6, "v.csv": 3}
    assert data.source == f"{parts[0]}, {parts[1]}, {tmp_path / 'v.csv'}, {parts[0]}"


def test_a_list_or_a_pattern_without_splits_is_carved_as_one_file_would_be(tmp_path: Path) -> None:
    whole = load(own(write(tmp_path / "whole.csv")))
    parts = [write(tmp_path / "in" / f"part-{n}.csv", ROWS[10 * n : 10 * n + 10]) for n in range(2)]
    for given in (parts, str(tmp_path / "in" / "part-*.csv"), [str(tmp_path / "**" / "part-0.csv"), parts[1]]):
        assert load(own(given)).splits == whole.splits


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    parts = [write(tmp_path / folder / "rows.csv", ROWS) for folder in ("old", "new")]
    assert load(own(parts)).files == {"old/rows.csv": 20, "new/rows.csv": 20}


def test_a_mistake_in_one_of_several_files_is_placed_in_that_file(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", ROWS)
    second = write(tmp_path / "b.jsonl", [*ROWS[:2], {"text": None, "label": "warm"}, ROWS[2]])
    assert "train split: row 3 of b.jsonl has no value in column 'text'" in refusal(
        own({"train": [first, second], "test": first})
    )
    write(tmp_path / "b.jsonl", [{"body": "x", "label": "warm"}])
    assert "train split, b.jsonl has no column 'text' (for text)" in refusal(own({"train": [first, second]}))


def test_a_pattern_that_matches_nothing_an_empty_list_and_a_file_named_twice_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    assert refusal(own(str(tmp_path / "z-*.csv"))) == (
        f"task 'own': no file matches {tmp_path}/z-*.csv. Check the pattern under data."
    )
    assert refusal(own([path, str(tmp_path / "*.csv")])) == f"task 'own': data names {path} twice. Remove one."
    with pytest.raises(ValueError, match="data: the list names no file"):
        own([])
    with pytest.raises(ValueError, match="data: the list names no file"):
        own({"train": []})


def test_a_task_of_several_files_is_named_after_the_first_and_a_run_finds_them_by_its_places(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"reviews-{n}.csv") for n in range(2)]
    named = study({"objective": "sequence_classification", "data": {"train": parts, "test": parts[0]}})
    (run,) = named.runs()
    assert run.task.name == "reviews-0"
    assert load(named.places().located(run.task)).files == {"reviews-0.csv": 20, "reviews-1.csv": 20}
    (run,) = study({"objective": "sequence_classification", "data": str(tmp_path / "reviews-*.csv")}).runs()
    assert run.task.name == "reviews"


def test_a_folder_may_hold_the_parts_of_a_split_as_the_hub_names_them(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "data" / f"train-{number:05d}-of-00002.parquet", ROWS[10 * number : 10 * number + 10])
    write(tmp_path / "data" / "valid.csv", ROWS)
    data = load(own(str(tmp_path / "data")))
    assert len(data.splits["train"]) == 18
    assert data.files == {"train-00000-of-00002.parquet": 10, "train-00001-of-00002.parquet": 10, "valid.csv": 20}


# Arrow, and what the library datasets saves ---------------------------------------------------------------------------

FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["warm", "cold"], "_type": "ClassLabel"},
}


def arrow(rows: Sequence[Mapping[str, Any]], features: Any = None) -> pa.Table:
    table = pa.Table.from_pylist(list(rows))
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def save_to_disk(folder: Path, tables: Sequence[pa.Table], **state: Any) -> None:
    """A folder as `Dataset.save_to_disk` of datasets 4 writes it."""
    folder.mkdir(parents=True)
    names = [f"data-{n:05d}-of-{len(tables):05d}.arrow" for n in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    content = {"_data_files": [{"filename": name} for name in names], "_split": "train", **state}
    (folder / "state.json").write_text(json.dumps(content))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


INDICES = [{"text": row["text"], "label": n % 2} for n, row in enumerate(ROWS)]


def test_a_saved_data_set_is_read_with_its_splits_parts_and_class_names(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "set/train", [arrow(INDICES[:10], FEATURES), arrow(INDICES[10:], FEATURES)])
    save_to_disk(tmp_path / "set/dev", [arrow(INDICES[:4], FEATURES)])
    save_to_disk(tmp_path / "set/unsupervised", [arrow(INDICES[:1], FEATURES)])
    (tmp_path / "set/dataset_dict.json").write_text(json.dumps({"splits": ["train", "dev", "unsupervised"]}))
    data = load(own(str(tmp_path / "set"), split={"test": 0.2}))
    assert data.labels == ("warm", "cold")
    assert data.files == {
        "data-00000-of-00002.arrow": 10,
        "data-00001-of-00002.arrow": 10,
        "data-00000-of-00001.arrow": 4,
    }
    assert "Splits that are not read: unsupervised." in data.notes
    assert "The files name the 2 classes of column 'label'." in data.notes
    answers = {example.text: data.labels[example.label] for example in data.splits["train"]}  # type: ignore[attr-defined]
    assert answers["text 1"] == "cold"
    for saved in (str(tmp_path / "set/train"), {"train": str(tmp_path / "set/train")}):
        assert len(load(own(saved)).splits["train"]) == 16


def test_labels_of_the_study_come_before_those_of_the_file(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "set", [arrow(INDICES, FEATURES)])
    assert load(own(str(tmp_path / "set"), labels=["hot", "icy"])).labels == ("hot", "icy")


def test_a_selection_that_was_saved_as_indices_is_refused(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "set", [arrow(INDICES)], _indices_files=[{"filename": "indices.arrow"}])
    assert "holds a selection of its rows as indices. Save it whole: dataset.flatten_indices()" in refusal(
        own(str(tmp_path / "set"))
    )


@pytest.mark.parametrize("ending", ["arrow", "feather"])
def test_an_arrow_file_is_read_as_a_csv_file_would_be(ending: str, tmp_path: Path) -> None:
    import pyarrow.feather

    pyarrow.feather.write_feather(pa.Table.from_pylist(ROWS), str(tmp_path / f"rows.{ending}"))
    assert load(own(str(tmp_path / f"rows.{ending}"))).splits == load(own(write(tmp_path / "rows.csv"))).splits
    (tmp_path / f"bad.{ending}").write_bytes(b"nothing")
    assert f"bad.{ending} cannot be read as {ending} (" in refusal(own(str(tmp_path / f"bad.{ending}")))


def test_tags_of_a_saved_data_set_have_the_names_of_their_list_feature(tmp_path: Path) -> None:
    names = {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "List"}
    rows = [{"tokens": ["anna", "won"], "tags": [1, 0]}] * 12
    save_to_disk(tmp_path / "set", [arrow(rows, {"tags": names})])
    task = Task.model_validate({"name": "own", "objective": "token_classification", "data": str(tmp_path / "set")})
    assert load(task).labels == ("O", "B-PER")


# The hub --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache without a network, with the data set `people/moods` as the hub converts every one to parquet."""
    import huggingface_hub.constants as constants

    cached = tmp_path / "hub" / "datasets--people--moods"
    for name in ("train", "dev"):
        write(cached / "snapshots" / "abc123" / "short" / name / "0000.parquet", ROWS)
    (cached / "refs/refs/convert").mkdir(parents=True)
    (cached / "refs/refs/convert/parquet").write_text("abc123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cached


def test_a_data_set_of_the_hub_is_read_by_its_id_and_configuration_also_offline(hub: Path) -> None:
    (run,) = study({"objective": "sequence_classification", "hub": {"id": "people/moods", "config": "short"}}).runs()
    data = load(run.task)
    assert run.task.name == "moods"
    assert data.source == "people/moods@abc123"
    assert data.files == {"train/0000.parquet": 20, "dev/0000.parquet": 20}
    assert texts(data, "test") == [row["text"] for row in ROWS]


def test_a_configuration_that_the_hub_does_not_have_is_refused_with_those_that_it_has(hub: Path) -> None:
    (run,) = study({"objective": "sequence_classification", "hub": "people/moods"}).runs()
    assert refusal(run.task) == (
        "task 'moods': people/moods has no training split in the configuration 'default'. Choose from: short."
    )


def test_a_data_set_that_is_not_here_says_so_without_a_network(hub: Path) -> None:
    (run,) = study({"objective": "sequence_classification", "hub": "people/none"}).runs()
    assert "task 'none': the data set people/none is not on this machine, and the hub cannot be reached" in refusal(
        run.task
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"id": "a/b", "config": "c", "files": "{split}.parquet"}, "config and files exclude each other"),
        ({"id": "a/b", "files": "train.parquet"}, "has no {split}"),
    ],
)
def test_contradictions_about_the_hub_are_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        study({"objective": "sequence_classification", "hub": given})


# A column that names the split ----------------------------------------------------------------------------------------


def divided(path: Path, names: Sequence[Any]) -> str:
    return write(path, [{**row, "fold": names[at % len(names)]} for at, row in enumerate(ROWS)])


def test_a_column_names_the_split_of_each_row(tmp_path: Path) -> None:
    path = divided(tmp_path / "rows.csv", ["train", "train", "Train", "dev", "test"])
    data = load(own(path, split={"column": "fold"}))
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [12, 4, 4]
    assert texts(data, "test") == [str(ROWS[at]["text"]) for at in (4, 9, 14, 19)]
    assert "Column 'fold' names the split of each row: 12 train, 4 validation, 4 test." in data.notes


def test_numbers_of_folds_are_given_a_meaning_and_what_has_none_is_train_or_left_out(tmp_path: Path) -> None:
    path = divided(tmp_path / "rows.csv", [0, 1, 2, 3])
    data = load(own(path, split={"column": "fold", "values": {"validation": 2, "test": [3]}}))
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [10, 5, 5]
    data = load(own(path, split={"column": "fold", "values": {"train": [0, 1], "test": ["3"]}}))
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [9, 1, 5]
    assert "5 rows with other values of 'fold' left out." in data.notes


def test_a_column_of_splits_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    path = divided(tmp_path / "rows.csv", ["train", "3"])
    assert refusal(own(path, split={"column": "fold"})).endswith(
        "column 'fold' has '3' in 10 rows, which names no split. Say what its values mean: "
        "split: {column: fold, values: {validation: [...], test: [...]}}."
    )
    assert "has no column 'fald' (for split.column). Did you mean 'fold'?" in refusal(
        own(path, split={"column": "fald"})
    )
    assert "column 'fold' makes no row train" in refusal(
        own(path, split={"column": "fold", "values": {"train": ["zzz"]}})
    )
    assert "split.column: train and test have files of their own" in refusal(
        own({"train": path, "test": path}, split={"column": "fold"})
    )
    for split, sentence in (
        ({"values": {"test": [1]}}, "Name it: split: {column: NAME"),
        ({"column": "fold", "values": {"test": [1], "train": [1]}}, "'1' means two splits"),
    ):
        with pytest.raises(ValueError, match=sentence):
            own(path, split=split)


def test_a_column_of_splits_divides_sentences_of_one_word_per_row(tmp_path: Path) -> None:
    words = [(f"w{n}", "B-PER" if n % 2 else "O", n // 2, "test" if n // 2 == 9 else "train") for n in range(20)]
    pd.DataFrame(words, columns=["word", "tag", "number", "fold"]).to_csv(tmp_path / "words.csv", index=False)
    columns = {"tokens": "word", "label": "tag", "sentence": "number"}
    fields = {"objective": "token_classification", "columns": columns, "split": {"column": "fold"}}
    data = load(own(str(tmp_path / "words.csv"), **fields))
    assert [example.tokens for example in data.splits["test"]] == [("w18", "w19")]  # type: ignore[attr-defined]


def test_a_split_without_a_column_leaves_ids_as_they_were(tmp_path: Path) -> None:
    path, ids = write(tmp_path / "rows.csv"), []
    for split in ({"by": "author"}, {"by": "author", "column": None, "values": {}}, {"by": "author", "column": "fold"}):
        (run,) = study({"objective": "sequence_classification", "data": path, "split": split}).runs()
        ids.append(run.id)
    assert ids[0] == ids[1]
    assert ids[2] != ids[0]


# Groups ---------------------------------------------------------------------------------------------------------------


def test_no_author_stands_on_both_sides_of_a_carved_split_and_files_that_share_some_say_so(tmp_path: Path) -> None:
    rows = [{**row, "author": f"a{n % 7}"} for n, row in enumerate(ROWS)]
    path = write(tmp_path / "rows.csv", rows)
    who = {str(row["text"]): row["author"] for row in rows}
    for seed in range(5):
        data = load(own(path, split={"by": "author", "test": 0.3, "seed": seed}))
        sides = [{who[text] for text in texts(data, split)} for split in ("train", "validation", "test")]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert not any("stand in train" in note for note in data.notes)
    other = write(tmp_path / "test.csv", [{"text": "new", "label": "warm", "author": "a3"}])
    data = load(own({"train": path, "test": other}, split={"by": "author", "validation": 0.2}))
    in_train = any(who[text] == "a3" for text in texts(data, "train"))
    told = "1 group of 'author' stands in train and in test, as the data divide them." in data.notes
    assert told == in_train


# Templates ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> str:
    rows = [{"title": f"t{n}", "body text": "", "label": row["label"]} for n, row in enumerate(ROWS)]
    rows[0]["body text"] = "long"
    return write(tmp_path / "rows.csv", rows)


def test_a_template_joins_columns_and_empty_cells_are_counted(parts: str) -> None:
    data = load(own({"train": parts, "test": parts}, columns={"text": "{{{title}}} {body text}!"}))
    assert texts(data, "test")[:2] == ["{t0} long!", "{t1} !"]
    assert "rows.csv: 19 rows with an empty field in '{{{title}}} {body text}!'." in data.notes


def test_a_template_that_cannot_be_filled_is_refused(parts: str, tmp_path: Path) -> None:
    assert "has no column 'titel' (for '{titel}: {body text}'). Did you mean 'title'?" in refusal(
        own(parts, columns={"text": "{titel}: {body text}"})
    )
    rows = [{"a": str(at), "b": "x", "label": row["label"]} for at, row in enumerate(ROWS)]
    empty = write(tmp_path / "empty.jsonl", [*rows, {"a": None, "b": None, "label": "warm"}])
    files = dict.fromkeys(("train", "validation", "test"), empty)
    assert "row 21 has no value in column '{a} {b}'" in refusal(own(files, columns={"text": "{a} {b}"}))
    lists = write(tmp_path / "lists.jsonl", [{"a": ["1"], "b": "2", "label": "y"}])
    assert "row 1: column 'a' has ['1'], not a text. Leave it out of '{a} {b}'." in refusal(
        own(lists, columns={"text": "{a} {b}"})
    )


def test_a_column_whose_name_has_braces_is_that_column(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [{"{text}": row["text"], "label": row["label"]} for row in ROWS])
    assert len(load(own(path, columns={"text": "{text}"})).splits["train"]) == 16


def test_new_texts_of_a_file_are_joined_as_those_of_the_task(parts: str) -> None:
    task = own(parts, columns={"text": "{title}: {body text}"})
    assert TextInput.of(Path(parts), None).texts_for(task).texts[:2] == ["t0: long", "t1: "]


# Labels ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ([True, False], ("false", "true")),
        ([10, 9], ("9", "10")),
        (["NA", "None"], ("NA", "None")),
        (["null", "nan"], ("nan", "null")),
    ],
)
def test_labels_are_the_text_that_stands_there(
    written: list[Any], labels: tuple[str, ...], ending: str, tmp_path: Path
) -> None:
    rows = [{"text": row["text"], "label": written[at % 2]} for at, row in enumerate(ROWS)]
    found = load(own(write(tmp_path / f"rows.{ending}", rows))).labels
    assert tuple(label.lower() for label in found) == tuple(label.lower() for label in labels)
