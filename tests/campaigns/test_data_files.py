"""Data files as people and programs write and spoil them: a file is read as the standard library reads it, or refused.

A whole file must be read, cell by cell as in `oracle.py`. A spoilt one is refused in a line, or read the same way.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.campaigns import SEED, assert_brief, doses, oracle
from tunebench._util.errors import UserError, message_of
from tunebench.tasks.base import Task
from tunebench.tasks.load import SPLITS, Data, load

PIECES = (
    *(
        "a",
        "word",
        " ",
        "  ",
        ",",
        ";",
        "\t",
        "|",
        '"',
        '""',
        "'",
        "\\",
        "\n",
        "\r\n",
        "\r",
        "#",
        "=1+1",
        "@",
        "-",
        ":",
    ),
    *(
        "é",
        "ß",
        "日本語",
        "नमस्ते",
        "\u00a0",
        "\u2028",
        "\x85",
        "\x0b",
        "\x1c",
        "🙂",
        "\u202e",
        "\ufeff",
        "{",
        "[1]",
        "NA",
    ),
)
LABELS = (
    "01",
    "1",
    "1.1",
    "1.10",
    "true",
    "True",
    "NA",
    "None",
    "null",
    "nan",
    "-0",
    "1e3",
    "joy",
    " joy",
    "+1",
    "\u0661",
)
SCORES = ("0", "-1.5", "1e3", "007", "1.10", "+2", ".5", "3.", "-0")
NO_SCORES = ("1,5", "nan", "inf", "0x1", "1_000", "\u0661", "true", "1e999", "")
TAGS = ("O", "B-PER", "B-LOC")
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress
}  # fmt: skip


WAYS = ("cut", "byte", "mark", "separator", "line twice", "no line", "blank", "header", "latin")
EVERY = list(HealthCheck)


@dataclass(frozen=True)
class DataFile:
    """A file of a task.

    Attributes:
        objective: the task's.
        name: the file's, whose ending says its format.
        rows: what its writer meant.
        content: its bytes.
        separator: of a csv or tsv file.
        quoted: whether its cells are quoted as csv does.
        shape: of a JSON file.
        spoilt: what was done to it; empty for a whole file.
    """

    objective: str
    name: str
    rows: oracle.Rows
    content: bytes
    separator: str = ""
    quoted: bool = True
    shape: str = ""
    spoilt: str = ""

    @property
    def wanted(self) -> tuple[str, str]:
        return ("tokens", "tags") if self.objective == "token_classification" else ("text", "label")


# What people write ----------------------------------------------------------------------------------------------------

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
pieces = st.one_of(st.sampled_from(PIECES), st.sampled_from(PIECES), st.text(letters, max_size=6))
texts = st.lists(pieces, min_size=1, max_size=7).map(lambda parts: "a" + "".join(parts))
long_texts = st.integers(30_000, 60_000).map(lambda count: "long " * count)
some_texts = st.one_of(texts, texts, texts, texts, st.sampled_from(["NA", "null", "1", " ", "yes, no", 'said "so"']))


@st.composite
def cells(draw: st.DrawFn, objective: str) -> oracle.Rows:
    """Rows of texts with labels or scores, and further columns."""
    count = draw(st.integers(3, 7))
    names = [*draw(st.permutations(["text", "label", *draw(st.sets(st.sampled_from(["id", "a b", "naïve", "Text"])))]))]
    answers = st.sampled_from(SCORES if objective == "regression" else LABELS)
    if draw(st.integers(0, 19)) == 0 and objective == "regression":
        answers = st.sampled_from((*SCORES, *NO_SCORES))
    rows = [{name: draw(answers if name == "label" else some_texts) for name in names} for _ in range(count)]
    if draw(st.integers(0, 29)) == 0:
        rows[0]["text"] = draw(long_texts)
    return rows


def as_separated(rows: oracle.Rows, separator: str, quoting: Any, end: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([[*rows[0]], *(row.values() for row in rows)])
    return text.getvalue()


def as_letters(rows: oracle.Rows, end: str) -> str:
    """A tsv whose quotation marks are letters."""
    return "".join("\t".join(line) + end for line in ([*rows[0]], *(row.values() for row in rows)))


def without(rows: oracle.Rows, *marks: str) -> oracle.Rows:
    return [{name: re.sub("|".join(marks), " ", cell) for name, cell in row.items()} for row in rows]


@st.composite
def separated_files(draw: st.DrawFn) -> DataFile:
    objective = draw(st.sampled_from(["sequence_classification", "sequence_classification", "regression"]))
    rows, end = draw(cells(objective)), draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    kind = draw(st.sampled_from(["csv", "csv", "tsv"]))
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|"])) if kind == "csv" else "\t"
    quoted = separator != "\t" or draw(st.booleans())
    if end == "\r":  # a bare line feed in a cell of such a file is a row's end for half of all programs
        rows = without(rows, "\n", "\r")
    if not quoted:
        rows = without(rows, "\t", "\n", "\r")
        text = as_letters(rows, end)
    else:
        odd = any("\r" in cell for row in rows for cell in row.values()) or separator == "\t"
        quoting = csv.QUOTE_ALL if odd else draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        text = as_separated(rows, separator, quoting, end)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace(end, end * 2, 1) + end
    if draw(st.integers(0, 19)) == 0:
        text = f"sep={separator}{end}{text}"
    text = text.removesuffix(end) if draw(st.booleans()) and not text.endswith(end * 2) else text
    return draw(stored(DataFile(objective, f".{kind}", rows, text.encode(), separator, quoted)))


@st.composite
def json_files(draw: st.DrawFn) -> DataFile:
    objective = draw(st.sampled_from(["sequence_classification", "regression", "token_classification"]))
    rows = draw(sentences()) if objective == "token_classification" else draw(cells(objective))
    if draw(st.booleans()) and objective != "token_classification":  # a label that a program wrote
        odd = st.sampled_from([0, 1, -2, 1.5, 10**40] + ([True, False] if objective != "regression" else []))
        rows = [{**row, "label": draw(odd)} for row in rows]
    plain, indent = draw(st.booleans()), draw(st.sampled_from([None, 1]))
    shape = draw(st.sampled_from(["lines", "lines", "list", "data", "columns"]))
    kind = draw(st.sampled_from(["jsonl", "json"])) if shape == "lines" else "json"
    match shape:
        case "lines":
            text = "\n".join(json.dumps(row, ensure_ascii=plain) for row in rows) + draw(st.sampled_from(["", "\n\n"]))
            text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
        case "columns":
            text = json.dumps(
                {name: [row[name] for row in rows] for name in rows[0]}, ensure_ascii=plain, indent=indent
            )
        case _:
            text = json.dumps(rows if shape == "list" else {"data": rows}, ensure_ascii=plain, indent=indent)
    return draw(stored(DataFile(objective, f".{kind}", rows, text.encode(), shape=shape)))


@st.composite
def sentences(draw: st.DrawFn) -> oracle.Rows:
    """Words with entity tags in IOB2."""
    word = st.one_of(st.sampled_from(["Paris", ".", '"', "#1", "#", "a,b", "O", "1.10", "é", "NA", "🙂", "\u200d"]))
    rows = []
    for _ in range(draw(st.integers(2, 5))):
        tags: list[str] = []
        for tag in draw(st.lists(st.sampled_from([*TAGS, "I"]), min_size=1, max_size=6)):
            inside = tag == "I" and tags and tags[-1] != "O"
            tags.append(f"I{tags[-1][1:]}" if inside else "O" if tag == "I" else tag)
        rows.append({"tokens": [draw(word) for _ in tags], "tags": tags})
    return rows


@st.composite
def conll_files(draw: st.DrawFn) -> DataFile:
    rows, end, gap = draw(sentences()), draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from([" ", "\t"]))
    middle = gap.join(["", *draw(st.lists(st.sampled_from(["NN", "_", "0"]), max_size=2).map(tuple))])
    blocks = [end.join(f"{word}{middle}{gap}{tag}" for word, tag in zip(*row.values(), strict=True)) for row in rows]
    if draw(st.booleans()):
        blocks = [f"# sent_id = {number}{end}{block}" for number, block in enumerate(blocks)]
    if draw(st.booleans()):
        blocks.insert(0, gap.join(["-DOCSTART-", "-X-", "O"]))
    text = (end * draw(st.sampled_from([2, 2, 3]))).join(blocks) + draw(st.sampled_from(["", end, end * 2]))
    return draw(stored(DataFile("token_classification", ".conll", rows, text.encode())))


# How it is stored, and spoilt -----------------------------------------------------------------------------------------


@st.composite
def stored(draw: st.DrawFn, file: DataFile) -> DataFile:
    """The file in an encoding and a compression, whole or spoilt before or after it was compressed."""
    if draw(st.integers(0, 2)) == 0:
        file = draw(spoilt(file))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32"]))
    if encoding != "utf-8":
        file = replace(file, content=file.content.decode("utf-8", "replace").encode(encoding))
    packing = draw(st.sampled_from(["", "", "", *PACKED]))
    file = replace(file, name=f"own{file.name}{packing}", content=PACKED[packing](file.content))
    if packing and draw(st.integers(0, 9)) == 0:
        return replace(file, content=file.content[: draw(st.integers(0, len(file.content) - 1))], spoilt="cut archive")
    return file


@st.composite
def spoilt(draw: st.DrawFn, file: DataFile) -> DataFile:
    """One fault of editors, programs and people."""
    content = bytearray(file.content)
    at = draw(st.integers(0, len(content) - 1))
    lines = file.content.split(b"\n")
    line = draw(st.integers(0, len(lines) - 1))
    way = draw(
        st.sampled_from(["cut", "byte", "mark", "separator", "line twice", "no line", "blank", "header", "latin"])
    )
    match way:
        case "cut":
            del content[at:]
        case "byte":
            content[at] = draw(st.integers(0, 255))
        case "mark":
            content[at:at] = b'"'
        case "separator":
            content[at:at] = (file.separator or ",").encode()
        case "line twice":
            content = bytearray(b"\n".join([*lines[: line + 1], *lines[line:]]))
        case "no line":
            content = bytearray(b"\n".join([*lines[:line], *lines[line + 1 :]]))
        case "blank":
            content = bytearray(b"\n".join([*lines[:line], draw(st.sampled_from([b" ", b",", b"\t"])), *lines[line:]]))
        case "header":
            content = content.replace(draw(st.sampled_from([b"label", b"text", b"tags"])), b"text", 1)
        case "latin":
            content = bytearray(content.decode().encode("latin-1", "replace"))
    return replace(file, content=bytes(content), spoilt=f"{way} at {at}, line {line}")


# The rules ------------------------------------------------------------------------------------------------------------


def read_by_the_library(file: DataFile, quoted: bool) -> oracle.Read:
    text = oracle.text_of(file.name, file.content)
    if file.separator:
        return oracle.separated(text, file.separator, quoted)
    if file.name.startswith("own.conll"):
        return oracle.conll(text)
    return oracle.lines_of_json(text) if file.shape == "lines" else oracle.whole_json(text)


def no_examples(file: DataFile, rows: oracle.Rows) -> str:
    """Why rows that can be read are no examples of the task."""
    first, answer = file.wanted
    if not rows or not {first, answer} <= rows[0].keys():
        return "no rows, or no such column"
    answers = [row[answer] for row in rows]
    if any(row[first] is None or row[answer] in (None, "") for row in rows):
        return "an empty cell"
    if file.objective == "regression":
        plain = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
        return "" if all(plain.fullmatch(a) and abs(float(a)) < float("inf") for a in answers) else "no number"
    distinct = {tag for row in answers for tag in row} if file.objective == "token_classification" else set(answers)
    return "" if len(distinct) > 1 else "one class"


def answers_of(file: DataFile, rows: oracle.Rows) -> list[tuple[Any, Any]]:
    first, answer = file.wanted
    number = file.objective == "regression"
    return [(row[first], float(row[answer]) if number else row[answer]) for row in rows]


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
    """What the writer of a whole file meant."""
    rows = [{name: oracle._written(cell) if not isinstance(cell, int | float) else cell for name, cell in row.items()}
            for row in file.rows]  # fmt: skip
    texts = [{**row, "label": json.dumps(row["label"]).strip('"')} if not isinstance(row.get("label", ""), str) else row
             for row in rows]  # fmt: skip
    return answers_of(file, texts)


def must_not_be_read(file: DataFile) -> bool:
    """Whether a whole file holds no examples, or a cell over lines that each look like a row."""
    rows = read_by_the_library(file, file.quoted).rows
    return bool(no_examples(file, rows)) or any(
        str(cell).count("\n") >= 2 for row in rows for cell in row.values() if file.separator
    )


@doses(60, 2_000)
def test_a_data_file_is_read_as_the_standard_library_reads_it_or_refused_in_a_line(dose: int, tmp_path: Path) -> None:
    ends: dict[str, int] = {"read": 0, "refused": 0}

    @seed(SEED)
    @settings(max_examples=dose, deadline=None, database=None, report_multiple_bugs=False, suppress_health_check=EVERY)
    @given(st.one_of(separated_files(), separated_files(), json_files(), conll_files()))
    def holds(file: DataFile) -> None:
        ends[hold(file, tmp_path)] += 1

    holds()
    assert ends["read"] > dose / 4
    assert ends["refused"] > dose / 20
