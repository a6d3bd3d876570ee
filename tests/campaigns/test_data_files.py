"""Data files as people and programs write and spoil them: a file is read as the standard library reads it, or refused.

A whole file must be read, cell by cell as in `oracle.py`. A spoilt one is refused in a line, or read the same way.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests.campaigns import assert_brief, doses, draws, oracle
from tests.campaigns.written_files import DataFile, data_file
from tunebench._util.errors import UserError, message_of
from tunebench.tasks.base import Task
from tunebench.tasks.load import SPLITS, Data, load


def read_by_the_library(file: DataFile, quoted: bool) -> oracle.Read:
    text = oracle.text_of(file.name, file.content)
    if file.separator:
        return oracle.separated(text, file.separator, quoted)
    if file.name.startswith("own.conll"):
        return oracle.conll(text)
    one_line = ".jsonl" not in file.name and "\n" not in text.strip()  # where a lone object may hold columns
    return oracle.lines_of_json(text) if file.shape == "lines" and not one_line else oracle.whole_json(text)


def no_examples(file: DataFile, rows: oracle.Rows) -> str:
    """Why rows that can be read are no examples of the task."""
    first, answer = file.wanted
    if not rows or not {first, answer} <= rows[0].keys():
        return "no rows, or no such column"
    answers = [row[answer] for row in rows]
    if any(row[first] is None or not _given(row[answer]) for row in rows):
        return "an empty cell"
    if file.objective == "regression":
        plain = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
        return "" if all(plain.fullmatch(a) and abs(float(a)) < float("inf") for a in answers) else "no number"
    distinct = {tag for row in answers for tag in row} if file.objective == "token_classification" else set(answers)
    return "" if len(distinct) > 1 else "one class"


def _given(answer: Any) -> bool:
    return bool(answer.strip() if isinstance(answer, str) else answer)


def answers_of(file: DataFile, rows: oracle.Rows) -> list[tuple[Any, Any]]:
    first, answer = file.wanted
    pairs = [(row[first], row[answer]) for row in rows]
    if file.objective == "regression":
        return [(text, float(score)) for text, score in pairs]
    if file.objective == "token_classification":  # a text of words is a list of them
        return [tuple(cell.split() if isinstance(cell, str) else cell for cell in pair) for pair in pairs]
    return pairs


def examples_of(file: DataFile, data: Data, split: Any) -> list[tuple[Any, Any]]:
    rows: list[Any] = data.splits[split]
    if file.objective == "regression":
        return [(row.text, row.label) for row in rows]
    if file.objective == "token_classification":
        return [([*row.tokens], [data.labels[tag] for tag in row.label]) for row in rows]
    return [(row.text, data.labels[row.label]) for row in rows]


def hold(file: DataFile, folder: Path) -> str:
    """All rules for one file; says how it ended."""
    path = folder / file.name
    path.write_bytes(file.content)
    splits = dict.fromkeys(SPLITS, str(path))
    task = Task.model_validate({"name": "own", "objective": file.objective, "data": splits})
    try:
        data = load(task)
    except UserError as error:
        assert_brief(message_of(error))
        assert "\n" not in str(error)
        assert str(path) in str(error) or "own" in str(error)
        assert file.spoilt or must_not_be_read(file), f"refused: {error}"
        return "refused"
    said = any("quotes its cells as csv does" in note for note in data.notes)
    read = read_by_the_library(file, file.separator != "\t" or said)
    assert not no_examples(file, read.rows), no_examples(file, read.rows)
    for split in SPLITS:
        assert examples_of(file, data, split) == answers_of(file, read.rows)
    assert data.files == {file.name: len(read.rows)}
    left_out = [note for note in data.notes if "without any value left out" in note]
    assert bool(left_out) == (read.blank > 0)
    if not file.spoilt and not (file.separator == "\t" and not file.quoted):
        assert answers_of(file, read.rows) == meant(file), "the oracle reads what was meant"
    return "read"


def meant(file: DataFile) -> list[tuple[Any, Any]]:
    """What the writer of a whole file meant; a label of another type is the text that JSON writes."""
    answer = file.wanted[1]
    typed = [{**row, answer: json.dumps(row[answer])} for row in file.rows if isinstance(row[answer], int | float)]
    return answers_of(file, typed or file.rows)


def must_not_be_read(file: DataFile) -> bool:
    """Whether a whole file holds no examples, or a cell over lines that each look like a row."""
    rows = read_by_the_library(file, file.quoted).rows
    return bool(no_examples(file, rows)) or any(
        str(cell).count("\n") >= 2 for row in rows for cell in row.values() if file.separator
    )


@doses(150, 2_000)
def test_a_data_file_is_read_as_the_standard_library_reads_it_or_refused_in_a_line(dose: int, tmp_path: Path) -> None:
    ends = Counter[str]()
    for case, draw in enumerate(draws(dose)):
        file = data_file(draw)
        try:
            ends[hold(file, tmp_path)] += 1
        except Exception as error:
            raise AssertionError(f"case {case}: {file}") from error
    assert ends["read"] > dose / 3
    assert ends["refused"] > dose / 10
