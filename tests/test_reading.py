"""A cell is the text that stands in the file, in every format; what cannot be read exactly is refused, with place."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunebench._util.errors import UserError
from tunebench.evaluation.metrics import METRICS
from tunebench.tasks.base import Task
from tunebench.tasks.files import read
from tunebench.tasks.load import SPLITS, Data, load
from tunebench.tasks.separated import separated
from tunebench.tasks.tables import FileTable

LABELS = ["01", "1", "1.1", "1.10", "true", "True", "NA", "None", "null", "nan", "inf", "1e3", "-0", "0x1", " spaced "]


def table(path: Path, content: bytes | str, *wanted: str) -> FileTable:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, wanted, {})


def refused(path: Path, content: bytes | str) -> str:
    with pytest.raises(UserError) as caught:
        table(path, content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def task(data: Any, objective: str = "sequence_classification", **fields: Any) -> Task:
    return Task.model_validate({"name": "own", "objective": objective, "data": data, **fields})


def answers(data: Data, which: Task) -> dict[str, Any]:
    """Input -> reference, over all splits."""
    rows = [example for split in SPLITS for example in data.splits[split]]
    return dict(zip((which.input_of(row).strip() for row in rows), which.references(rows, data.labels), strict=True))


# Cells ----------------------------------------------------------------------------------------------------------------


def as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_labels_are_the_texts_that_stand_in_the_file(ending: str, tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": LABELS[n % len(LABELS)]} for n in range(10 * len(LABELS))]
    path = tmp_path / f"data.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif ending == "json":
        path.write_text(json.dumps(rows))
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(as_csv(rows, "\t" if ending == "tsv" else ","))

    own = task(str(path))
    assert answers(load(own), own) == {row["text"]: row["label"] for row in rows}


def test_numbers_and_truth_values_of_json_are_the_texts_that_stand_there(tmp_path: Path) -> None:
    content = (
        '{"text": 72, "label": 1.10}\n{"text": "72", "label": true}\n{"text": 1e2, "label": [1, "1", false, null]}\n'
    )

    assert table(tmp_path / "data.jsonl", content).columns == {
        "text": ["72", "72", "1e2"],
        "label": ["1.10", "true", ["1", "1", "false", None]],
    }


def test_zeros_and_ones_with_late_words_are_three_classes_not_five(tmp_path: Path) -> None:
    """A reader that guesses a type for each chunk makes 0 and "0" two classes (pandas, 300,000 rows)."""
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{n % 2}\n" for n in range(300_000)) + "late,n/a\n" * 5)

    labels = set(read(path, ["text"], {}).columns["label"])
    assert labels == {"0", "1", "n/a"}


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        (["1", "0"], ["0", "1"]),
        (["1", "2", "3"], ["1", "2", "3"]),
        (["true", "false"], ["true", "false"]),
        (["0", "1", "2"], ["1", "2"]),
        (["2", "0"], ["0", "2"]),
    ],
)
def test_a_stated_label_is_the_name_in_the_file_whatever_it_looks_like(
    stated: list[str], written: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{written[n % len(written)]}\n" for n in range(40)))

    own = task(str(path), labels=stated)
    assert answers(load(own), own) == {f"t{n}": written[n % len(written)] for n in range(40)}


def test_bytes_of_parquet_are_text_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    for value, expected in ((b"good", "good"), ("é".encode(), "é")):
        pyarrow.parquet.write_table(pyarrow.table({"label": [value], "tags": [[value]]}), path)
        assert read(path, [], {}).columns == {"label": [expected], "tags": [[expected]]}
    pyarrow.parquet.write_table(pyarrow.table({"label": [b"\xff\x00"]}), path)
    with pytest.raises(UserError, match=r"column 'label': it holds bytes that are not UTF-8 text"):
        read(path, [], {})


def test_whole_numbers_of_parquet_stay_whole_beside_empty_cells(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        pyarrow.table({"target": pyarrow.array([72, None], pyarrow.int64())}), tmp_path / "a.parquet"
    )

    assert read(tmp_path / "a.parquet", [], {}).columns == {"target": ["72", None]}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8), min_size=2, max_size=2),
        min_size=1,
        max_size=6,
    )
)
def test_csv_rows_are_those_of_the_standard_library(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    content = text.getvalue()
    expected = [row for row in csv.reader(io.StringIO(content, newline="")) if row][1:]
    kept = [row for row in expected if any(cell.strip() for cell in row)]

    try:
        columns = separated(content, "data.csv", ",", ["a"]).columns
    except UserError as error:  # a cell over several lines that look like rows is refused, never read otherwise
        assert "each line between looks like a row" in str(error)
        return
    assert list(zip(*(columns[name] for name in "ab"), strict=True)) == [tuple(c or None for c in row) for row in kept]


# Separators, quotation marks, encodings -------------------------------------------------------------------------------


def test_a_quotation_mark_in_a_tsv_is_a_letter(tmp_path: Path) -> None:
    rows = [f'"opened {n}\tgood' if n in (5, 25) else f'said "so" {n}\tbad' for n in range(40)]
    read_rows = table(tmp_path / "data.tsv", "text\tlabel\n" + "\n".join(rows) + "\n").columns

    assert [f"{text}\t{label}" for text, label in zip(read_rows["text"], read_rows["label"], strict=True)] == rows


def test_a_tsv_that_quotes_as_csv_does_is_read_so(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ['a "word"', "tab\there", "two\nlines"], "label": ["x", "y", "z"]})
    frame.to_csv(tmp_path / "data.tsv", sep="\t", index=False)

    columns = read(tmp_path / "data.tsv", [], {}).columns
    assert columns == {"text": ['a "word"', "tab\there", "two\nlines"], "label": ["x", "y", "z"]}


@pytest.mark.parametrize(
    ("row", "fields"), [("Lyon, lovely,good", "3 fields"), ("lonely", "1 field"), ("a,b,", "3 fields")]
)
def test_a_row_of_another_width_is_refused_with_its_line(row: str, fields: str, tmp_path: Path) -> None:
    message = refused(tmp_path / "data.csv", f"text,label\nfine,good\n\n{row}\n")

    assert message.startswith(f"{tmp_path / 'data.csv'}, row 2 (line 4): it has {fields}, the header 2.")


def test_an_unclosed_quotation_mark_that_swallows_rows_is_refused(tmp_path: Path) -> None:
    rows = [f"text {n},good" for n in range(20)]
    rows[4], rows[14] = '"text 4,good', 'text 14",good'
    message = refused(tmp_path / "data.csv", "text,label\n" + "\n".join(rows) + "\n")

    assert "row 5 (line 6): a quotation mark opens a cell that ends 10 lines later" in message


def test_a_cell_with_line_breaks_is_read_and_noted(tmp_path: Path) -> None:
    read_rows = table(tmp_path / "data.csv", 'text,label\n"one\ntwo",good\n')

    assert read_rows.columns == {"text": ["one\ntwo"], "label": ["good"]}
    assert read_rows.notes == ("data.csv: cells of 1 row hold line breaks.",)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_recognised_by_the_wanted_columns_and_noted(separator: str, tmp_path: Path) -> None:
    read_rows = table(tmp_path / "data.csv", f"text{separator}label\na, b{separator}good\n", "text", "label")

    assert read_rows.columns == {"text": ["a, b"], "label": ["good"]}
    assert "is separated by" in read_rows.notes[0]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends_do_not_matter(
    ending: str, encoding: str, line_end: str, tmp_path: Path
) -> None:
    if ending.startswith("json") and line_end == "\r":
        line_end = "\r\n"  # JSON Lines end with a line feed
    separator = "," if ending == "csv" else "\t"
    lines = [f"text{separator}label", f"naïve{separator}good", f"x{separator}bad"]
    if ending.startswith("json"):
        lines = ['{"text": "naïve", "label": "good"}', '{"text": "x", "label": "bad"}']
    content = line_end.join([*lines, ""]).encode(encoding)

    assert table(tmp_path / f"data.{ending}", content).columns == {"text": ["naïve", "x"], "label": ["good", "bad"]}


def test_latin_1_is_refused_with_its_line_and_the_remedy(tmp_path: Path) -> None:
    message = refused(tmp_path / "data.csv", "text,label\nfine,good\ncafé au lait,bad\n".encode("latin-1"))

    assert "line 3: the byte 0xE9 is not UTF-8" in message
    assert "café" in message
    assert "iconv -f WINDOWS-1252 -t UTF-8" in message


def test_utf_16_without_its_mark_is_named(tmp_path: Path) -> None:
    assert "UTF-16 without its mark" in refused(tmp_path / "data.csv", "text,label\nfine,good\n".encode("utf-16-le"))


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_files_are_read_and_damaged_ones_refused(
    ending: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    packed = pack(b"text,label\nfine,good\n")

    assert table(tmp_path / f"a.csv.{ending}", packed).columns == {"text": ["fine"], "label": ["good"]}
    assert "cannot be read (" in refused(tmp_path / f"b.csv.{ending}", packed[: len(packed) // 2])


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    assert table(tmp_path / "data.csv", f"text\n{'x' * 300_000}\n").columns == {"text": ["x" * 300_000]}


def test_half_of_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    half = refused(tmp_path / "a.jsonl", '{"text": "\\ud83d"}\n{"text": "x"}\n')
    assert "line 1: it is not JSON (it has half of a surrogate pair" in half
    whole = table(tmp_path / "b.jsonl", '{"text": "\\ud83d\\ude00"}\n{"text": "x"}\n')
    assert whole.columns["text"] == ["\U0001f600", "x"]


def test_two_columns_of_one_name_and_one_key_twice_are_refused(tmp_path: Path) -> None:
    assert "two columns are named 'text'" in refused(tmp_path / "data.csv", "text,text\na,b\n")
    assert "has the key 'text' twice" in refused(tmp_path / "data.jsonl", '{"text": "a", "text": "b"}\n')


# JSON in all its shapes -----------------------------------------------------------------------------------------------


LINES = '{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n'
ROWS = '[{"text": "a", "label": 1},\n {"text": "b", "label": 2}]'
COLUMNS = (
    '{"text": ["a", "b"], "label": [1, 2]}',
    '{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}}',
    '{\n "text": ["a", "b"],\n "label": [1, 2]\n}',
    '{"version": 1, "data": [{"text": "a", "label": 1}, {"text": "b", "label": 2}]}',
)


@pytest.mark.parametrize(
    ("ending", "content"),
    [(ending, content) for ending in ("json", "jsonl") for content in (LINES, ROWS)] + [("json", c) for c in COLUMNS],
)
def test_json_is_read_as_lines_rows_or_columns(ending: str, content: str, tmp_path: Path) -> None:
    assert table(tmp_path / f"data.{ending}", content).columns == {"text": ["a", "b"], "label": ["1", "2"]}


@pytest.mark.parametrize(
    "answers", ['[{"text": "Ghent", "answer_start": 9}]', '{"text": ["Ghent"], "answer_start": [9]}']
)
@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_squads_forms_of_answers_are_the_same(answers: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    rows = [{"question": f"Where {n}?", "context": "The mill Ghent.", "answers": answers} for n in range(20)]
    if ending == "csv":
        path.write_text(as_csv(rows))
    else:
        path.write_text("".join(json.dumps({**one, "answers": json.loads(answers)}) + "\n" for one in rows))
    example: Any = load(task(str(path), "question_answering")).splits["train"][0]

    assert (example.answers, example.starts) == (("Ghent",), (9,))


@pytest.mark.parametrize("wrapped", [True, False])
def test_squads_own_file_is_read_as_one_row_per_question(wrapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    asked = [
        {"id": str(n), "question": f"Where {n}?", "answers": [{"text": "Ghent", "answer_start": 9}]} for n in range(9)
    ]
    paragraphs = [{"context": "The mill Ghent.", "qas": asked}]
    articles = [{"title": "a", "paragraphs": paragraphs}, {"title": "b", "paragraphs": paragraphs}]
    path.write_text(json.dumps({"version": "1.1", "data": articles} if wrapped else articles))
    data = load(task(str(path), "question_answering"))

    assert sum(len(rows) for rows in data.splits.values()) == 18
    assert "dev.json: 18 questions in 2 articles." in data.notes
    del paragraphs[0]["context"]
    path.write_text(json.dumps({"data": articles}))
    with pytest.raises(UserError, match="an article lacks 'context'"):
        load(task(str(path), "question_answering"))


@pytest.mark.parametrize("cells", ["x, y z", "x;y z", '["x", "y z"]'])
def test_lists_of_labels_are_separated_as_the_column_does_it(cells: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(
        as_csv(
            [{"text": f"t{n}", "labels": (cells, "x" if "[" not in cells else '["x"]', "")[n % 3]} for n in range(30)]
        )
    )
    own = task(str(path), "multi_label_classification")
    data = load(own)

    assert data.labels == ("x", "y z")
    assert answers(data, own) == {f"t{n}": (["x", "y z"], ["x"], [])[n % 3] for n in range(30)}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"text": "Ghent", "answer_start": 3}], "lacks the answer 'Ghent' at 3"),
        ([{"text": "Ghent", "answer_start": "x"}], "the answer_start 'x' is not a whole number"),
        ([{"answer_start": 9}], "it has no answer, or an empty one. Give a text, a list of texts"),
        ([], "it has no answer"),
    ],
)
def test_answers_that_do_not_fit_are_refused_with_the_wanted_form(value: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    row = {"question": "Where?", "context": "The mill Ghent.", "answers": value}
    path.write_text((json.dumps(row) + "\n") * 20)

    with pytest.raises(UserError, match=message):
        load(task(str(path), "question_answering"))


@pytest.mark.parametrize("value", ["1_000", "٣", "3,5", "nan", "1e999", "", "0x10"])
def test_a_score_is_a_plain_decimal_number(value: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "x,1.5\n" * 20 + f'x,"{value}"\n')

    with pytest.raises(UserError, match=r"row 21: the score .* is not a number"):
        load(task(str(path), "regression"))


# Carving --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rare", range(30))
def test_a_class_of_one_row_is_never_carved_out_of_train(rare: int, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'legal' if n == rare else 'ab'[n % 2]}\n" for n in range(30)))
    own = task(str(path))
    data = load(own)

    assert "legal" in own.references(data.splits["train"], data.labels)
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 24, "validation": 3, "test": 3}
    assert len(answers(data, own)) == 30
    assert any("'legal' has 1 row" in note for note in data.notes) == (rare in carved_by_default())


def carved_by_default() -> set[int]:
    import numpy as np

    return set(np.random.default_rng(0).permutation(30)[:6].tolist())


@pytest.mark.parametrize("rare", range(30))
def test_tags_of_one_sentence_are_never_carved_out_of_train(rare: int, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    tags = [["B-LAW", "I-LAW"] if n == rare else ["B-PER", "O"] for n in range(30)]
    rows = [{"tokens": ["w", str(n)], "tags": row} for n, row in enumerate(tags)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = task(str(path), "token_classification")
    data = load(own)

    assert ["B-LAW", "I-LAW"] in own.references(data.splits["train"], data.labels)
    assert data.labels == ("B-LAW", "B-PER", "I-LAW", "O")
    assert len(answers(data, own)) == 30


def test_rows_of_one_group_stay_in_one_split(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label,author\n" + "".join(f"t{n} by {n % 12},{'ab'[n % 2]},{n % 12}\n" for n in range(120)))
    data = load(task(str(path), split={"by": "author", "test": 0.25}))

    authors = {split: {row.text.split()[-1] for row in data.splits[split]} for split in SPLITS}  # type: ignore[attr-defined]
    assert not authors["train"] & authors["test"] and not authors["validation"] & (authors["train"] | authors["test"])
    assert {split: len(names) for split, names in authors.items()} == {"train": 8, "validation": 1, "test": 3}
    with pytest.raises(UserError, match="has no column 'writer'"):
        load(task(str(path), split={"by": "writer"}))


def test_folds_are_disjoint_tests_that_cover_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(43)))
    folds = [load(task(str(path), split={"folds": 5, "fold": fold})) for fold in range(1, 6)]

    tests = [{row.text for row in data.splits["test"]} for data in folds]  # type: ignore[attr-defined]
    assert sorted(len(rows) for rows in tests) == [8, 8, 9, 9, 9]
    assert len(set().union(*tests)) == 43
    for data in folds:
        assert sum(len(data.splits[split]) for split in SPLITS) == 43


def test_shares_and_seed_of_the_splits_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(100)))
    first, second = (load(task(str(path), split={"validation": 0.2, "test": 0.3, "seed": seed})) for seed in (0, 1))

    assert {split: len(rows) for split, rows in first.splits.items()} == {"train": 50, "validation": 20, "test": 30}
    assert first.splits["test"] != second.splits["test"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"test": 0.6, "validation": 0.4}, "leave no row for train"),
        ({"fold": 2}, "folds and fold belong together"),
        ({"folds": 3, "fold": 4}, "fold: 4 is more than folds: 3"),
    ],
)
def test_a_split_that_cannot_be_is_refused(split: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task("data.csv", split=split)


# Tags -----------------------------------------------------------------------------------------------------------------

SENTENCE = ("Ada", "Byron", "met", "Ann", "in", "Oslo", "Bergen", "New", "York", "City")
IOB2 = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "B-LOC", "B-LOC", "I-LOC", "I-LOC"]
SCHEMES = {
    "IOB2": IOB2,
    "IOBES": ["B-PER", "E-PER", "O", "S-PER", "O", "S-LOC", "S-LOC", "B-LOC", "I-LOC", "E-LOC"],
    "BILOU": ["B-PER", "L-PER", "O", "U-PER", "O", "U-LOC", "U-LOC", "B-LOC", "I-LOC", "L-LOC"],
    "BMES": ["B-PER", "E-PER", "O", "S-PER", "O", "S-LOC", "S-LOC", "B-LOC", "M-LOC", "E-LOC"],
    "IOB1": ["I-PER", "I-PER", "O", "I-PER", "O", "I-LOC", "B-LOC", "B-LOC", "I-LOC", "I-LOC"],
    "IOB2 with suffixes": ["PER-B", "PER-I", "O", "PER-B", "O", "LOC-B", "LOC-B", "LOC-B", "LOC-I", "LOC-I"],
    "IOB2 with underscores": [tag.replace("-", "_") for tag in IOB2],
    "IOB2 with lower case": [tag[0].lower() + tag[1:] for tag in IOB2],
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("stated", [False, True])
def test_every_scheme_of_tags_becomes_iob2_and_right_answers_have_entity_f1_1(
    scheme: str, stated: bool, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "tokens": [*SENTENCE, str(n)],
                    "tags": [*SCHEMES[scheme], "O" if scheme != "IOB2 with lower case" else "o"],
                }
            )
            + "\n"
            for n in range(20)
        )
    )
    own = task(str(path), "token_classification", labels=sorted({*SCHEMES[scheme], "O"}) if stated else [])
    data = load(own)
    gold = own.references(data.splits["test"], data.labels)

    assert gold == [[*IOB2, "O"]] * 2
    assert set(data.labels) == {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    assert any(f"scheme is {scheme};" in note for note in data.notes) == (scheme != "IOB2")
    assert METRICS["entity_f1"].compute(gold, gold) == 1.0


def test_tags_without_marks_are_entities_even_where_they_begin_with_o(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    row = {"tokens": ["The", "UN", "met", "Ada", "Byron"], "tags": ["O", "ORG", "O", "PER", "PER"]}
    path.write_text((json.dumps(row) + "\n") * 20)
    own = task(str(path), "token_classification")
    data = load(own)
    gold = own.references(data.splits["test"], data.labels)

    assert data.labels == ("O", "ORG", "PER")
    assert METRICS["entity_f1"].compute(gold, gold) == 1.0
    missed = [["O", "O", "O", "PER", "PER"]] * len(gold)
    assert METRICS["entity_recall"].compute(missed, gold) == 0.5
    assert any("have no mark" in note for note in data.notes)


def test_an_empty_tag_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text((json.dumps({"tokens": ["Ada", "ran"], "tags": ["B-PER", ""]}) + "\n") * 20)

    with pytest.raises(UserError, match="some words have an empty tag"):
        load(task(str(path), "token_classification"))


def test_tags_that_are_numbers_ask_for_names(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text((json.dumps({"tokens": ["Ada", "ran"], "tags": [1, 0]}) + "\n") * 20)

    with pytest.raises(UserError, match=r"the tags are numbers \(0, 1\).*labels: \[O, B-PER"):
        load(task(str(path), "token_classification"))
    named = load(task(str(path), "token_classification", labels=["O", "B-PER"]))
    assert named.labels == ("O", "B-PER")
    assert load(task(str(path), "token_classification", metrics=["tag_accuracy"])).labels == ("0", "1")


CONLL = """-DOCSTART- -X- -X- O

# a comment about 3 words
Ada NNP B-NP B-PER
ran VBD B-VP O

# NN B-NP O
Oslo NNP B-NP B-LOC
"""


@pytest.mark.parametrize("ending", ["conll", "txt", "bio"])
def test_conll_files_are_read_as_they_are(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    path.write_text(CONLL + "\n" + "\n\n".join(f"word{n} NN B-NP O" for n in range(20)) + "\n")
    own = task(str(path), "token_classification")
    data = load(own)
    sentences = {row.tokens: row.label for split in SPLITS for row in data.splits[split]}  # type: ignore[attr-defined]

    assert len(sentences) == 22
    assert [data.labels[tag] for tag in sentences["Ada", "ran"]] == ["B-PER", "O"]
    assert ("#", "Oslo") in sentences  # a word, as its tag is one of the others'
    assert f"data.{ending}: 1 comment line left out." in data.notes
    assert f"data.{ending}: 1 -DOCSTART- line left out." in data.notes
    chunks = load(task(str(path), "token_classification", columns={"tokens": 1, "label": 3}))
    assert chunks.labels == ("B-NP", "B-VP")


@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t")])
def test_one_word_per_row_with_blank_lines_are_sentences(ending: str, separator: str, tmp_path: Path) -> None:
    path = tmp_path / f"data.{ending}"
    words = [f"Ada{separator}B-PER\nran{n}{separator}O\n" for n in range(12)]
    path.write_text(f"tokens{separator}tags\n" + "\n".join(words))
    data = load(task(str(path), "token_classification"))

    assert sum(len(rows) for rows in data.splits.values()) == 12
    assert f"data.{ending}: 24 words, one per row, in 12 sentences." in data.notes
    path.write_text(f"tokens{separator}tags\n" + "".join(words))
    with pytest.raises(UserError, match="nothing says where a sentence ends"):
        load(task(str(path), "token_classification"))


def test_a_column_may_say_which_sentence_a_word_belongs_to(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = [
        f"{'Sentence: ' + str(n) if at == 0 else ''},{word},{tag}"
        for n in range(12)
        for at, (word, tag) in enumerate((("Ada", "B-PER"), (f"ran{n}", "O")))
    ]
    path.write_text("Sentence #,Word,Tag\n" + "\n".join(rows) + "\n")
    columns = {"sentence": "Sentence #", "tokens": "Word", "label": "Tag"}
    data = load(task(str(path), "token_classification", columns=columns))

    assert {row.tokens for split in SPLITS for row in data.splits[split]} == {("Ada", f"ran{n}") for n in range(12)}  # type: ignore[attr-defined]


def test_a_document_mark_of_another_width_is_no_word(tmp_path: Path) -> None:
    path = tmp_path / "data.conll"
    path.write_text("-DOCSTART- -X- O\n\n" + "\n\n".join(f"Ada{n} B-PER\nran O" for n in range(9)) + "\n")
    data = load(task(str(path), "token_classification"))
    assert sum(len(rows) for rows in data.splits.values()) == 9


def test_a_hashtag_with_a_tag_of_its_own_is_a_word(tmp_path: Path) -> None:
    path = tmp_path / "data.conll"
    path.write_text("\n\n".join(f"Ada{n} B-PER\nran O" for n in range(9)) + "\n\n#summit B-EVENT\n\n# a comment\n")
    data = load(task(str(path), "token_classification", split={"validation": 0.1, "test": 0.1}))
    assert data.labels == ("B-EVENT", "B-PER", "O")
    assert "data.conll: 1 comment line left out." in data.notes


def test_a_carriage_return_in_a_header_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 1: this row cannot be read" in refused_with(tmp_path / "a.csv", "text\rlabel\na,b\n")


def refused_with(path: Path, content: str) -> str:
    path.write_bytes(content.encode())
    with pytest.raises(UserError) as caught:
        read(path, ["text", "label"], {})
    return str(caught.value)


def test_a_quoted_tsv_under_a_line_that_names_its_separator_is_read(tmp_path: Path) -> None:
    content = 'sep=\t\n\n"label"\t"text"\n"01"\t"a ""b"""\n'
    assert table(tmp_path / "a.tsv", content).columns == {"label": ["01"], "text": ['a "b"']}


@pytest.mark.parametrize(("name", "line"), [("a.csv", 'word,"{}"'), ("a.jsonl", '{{"text": "word", "label": "{}"}}')])
@pytest.mark.parametrize("label", ["", " "])
def test_a_blank_label_is_refused_in_every_format(name: str, line: str, label: str, tmp_path: Path) -> None:
    header = ["text,label"] if name == "a.csv" else []
    (tmp_path / name).write_text(
        "\n".join([*header, *(line.format(letter) for letter in "xyxyxy"), line.format(label)])
    )
    with pytest.raises(UserError, match=r"row 7(: the label is empty| has no value in column 'label')"):
        load(task(str(tmp_path / name)))


def test_a_tsv_with_a_quoted_header_is_quoted_also_where_each_of_its_lines_has_the_header_s_width(
    tmp_path: Path,
) -> None:
    content = '"text"\t"label"\n"one\tcell\n"\t"01"\n'
    assert table(tmp_path / "a.tsv", content).columns == {"text": ["one\tcell\n"], "label": ["01"]}


def test_a_message_that_lists_odd_column_names_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"first\nname",label\n' + "a,b\n" * 20)
    with pytest.raises(UserError, match=r"no column 'text' \(for text\)\. Choose from: first name, label\."):
        load(task(str(path)))
