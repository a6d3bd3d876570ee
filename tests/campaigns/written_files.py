"""Data files as people and programs write, store and spoil them, drawn from a seed."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.campaigns.oracle import Rows

PIECES = [
    "a", "word", " ", "  ", ",", ";", "\t", "|", '"', '""', "'", "\\", "\n", "\r\n", "\r", "#", "=1+1", "@", "-", ":",
    "é", "ß", "日本語", "नमस्ते", "\u00a0", "\u2028", "\x85", "\x0b", "\x1c", "🙂", "\u202e", "\ufeff", "{", "[1]", "NA",
]  # fmt: skip
WHOLE = ("NA", "null", "1", " ", "yes, no", 'said "so"', '"so"')
LABELS = ("01", "1", "1.1", "1.10", "true", "True", "NA", "None", "null", "nan", "-0", "1e3", "joy", " joy", "+1")
SCORES = ("0", "-1.5", "1e3", "007", "1.10", "+2", ".5", "3.", "-0")
NO_SCORES = ("1,5", "nan", "inf", "0x1", "1_000", "\u0661", "true", "1e999", "")
WORDS = ("Paris", ".", '"', "#1", "#", "a,b", "O", "1.10", "é", "NA", "🙂", "\u200d")
WAYS = ("cut", "byte", "mark", "separator", "line twice", "no line", "blank", "header", "latin")
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress
}  # fmt: skip


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
    rows: Rows
    content: bytes
    separator: str = ""
    quoted: bool = True
    shape: str = ""
    spoilt: str = ""

    @property
    def wanted(self) -> tuple[str, str]:
        return ("tokens", "tags") if self.objective == "token_classification" else ("text", "label")


def data_file(draw: Random) -> DataFile:
    """Any file, a third of them spoilt."""
    file = draw.choice([separated_file, separated_file, json_file, conll_file])(draw)
    if draw.random() < 1 / 3:
        file = spoilt(draw, file)
    return stored(draw, file)


# What is written ------------------------------------------------------------------------------------------------------


def text(draw: Random) -> str:
    if draw.random() < 0.15:
        return draw.choice(WHOLE)
    parts = [draw.choice(PIECES) if draw.random() < 0.8 else letter(draw) for _ in range(draw.randint(0, 7))]
    return "a" + "".join(parts)


def letter(draw: Random) -> str:
    """Any character except NUL and halves of surrogate pairs."""
    code = draw.choice([draw.randrange(1, 0x300), draw.randrange(1, 0x3000), draw.randrange(1, 0x110000)])
    return "?" if 0xD800 <= code < 0xE000 else chr(code)


def cells(draw: Random, objective: str) -> Rows:
    """Rows of texts with labels or scores, and further columns."""
    names = ["text", "label", *draw.sample(["id", "a b", "naïve", "Text"], draw.randint(0, 2))]
    draw.shuffle(names)
    answers = SCORES if objective == "regression" else LABELS
    if draw.random() < 0.05:
        answers = (*answers, *(NO_SCORES if objective == "regression" else ("", " ", "")))
    count = draw.randint(3, 7)
    rows = [{name: draw.choice(answers) if name == "label" else text(draw) for name in names} for _ in range(count)]
    if draw.random() < 0.03:
        rows[0]["text"] = "long " * draw.randint(30_000, 60_000)
    return rows


def separated_file(draw: Random) -> DataFile:
    objective = draw.choice(["sequence_classification", "sequence_classification", "regression"])
    rows, end = cells(draw, objective), draw.choice(["\n", "\n", "\r\n", "\r"])
    kind = draw.choice(["csv", "csv", "tsv"])
    separator = draw.choice([",", ",", ";", "\t", "|"]) if kind == "csv" else "\t"
    quoted = separator != "\t" or draw.random() < 0.5
    if end == "\r":  # a line feed in a cell of such a file ends a row for half of all programs
        rows = without(rows, "\n", "\r")
    if quoted:
        content = as_quoted(draw, rows, separator, end)
    else:
        rows = without(rows, "\t", "\n", "\r")
        content = "".join("\t".join(line) + end for line in ([*rows[0]], *(row.values() for row in rows)))
    if draw.random() < 0.1:
        content = content.replace(end, end * 2, 1) + end
    if draw.random() < 0.05:
        content = f"sep={separator}{end}{content}"
    if draw.random() < 0.5:
        content = content.removesuffix(end)
    return DataFile(objective, f".{kind}", rows, content.encode(), separator, quoted)


def as_quoted(draw: Random, rows: Rows, separator: str, end: str) -> str:
    odd = separator == "\t" or any("\r" in cell for row in rows for cell in row.values())
    quoting = csv.QUOTE_ALL if odd else draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([[*rows[0]], *(row.values() for row in rows)])
    return written.getvalue()


def without(rows: Rows, *marks: str) -> Rows:
    return [{name: re.sub("|".join(marks), " ", cell) for name, cell in row.items()} for row in rows]


def json_file(draw: Random) -> DataFile:
    objective = draw.choice(["sequence_classification", "regression", "token_classification"])
    rows = sentences(draw) if objective == "token_classification" else cells(draw, objective)
    if draw.random() < 0.5 and objective != "token_classification":  # labels that a program wrote
        typed: list[Any] = [0, 1, -2, 1.5, 10**40] + ([True, False] if objective != "regression" else [])
        rows = [{**row, "label": draw.choice(typed)} for row in rows]
    plain, indent = draw.random() < 0.5, draw.choice([None, 1])
    shape = draw.choice(["lines", "lines", "list", "data", "columns"])
    if shape == "lines":
        end = draw.choice(["\n", "\r\n"])
        content = end.join(json.dumps(row, ensure_ascii=plain) for row in rows) + draw.choice(["", end, end * 2])
        return DataFile(objective, draw.choice([".jsonl", ".json"]), rows, content.encode(), shape=shape)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    value = {"list": rows, "data": {"data": rows}, "columns": columns}[shape]
    return DataFile(
        objective, ".json", rows, json.dumps(value, ensure_ascii=plain, indent=indent).encode(), shape=shape
    )


def sentences(draw: Random) -> Rows:
    """Words with entity tags in IOB2."""
    rows = []
    for _ in range(draw.randint(2, 5)):
        tags: list[str] = []
        for tag in draw.choices(["O", "B-PER", "B-LOC", "I"], k=draw.randint(1, 6)):
            inside = tag == "I" and tags and tags[-1] != "O"
            tags.append(f"I{tags[-1][1:]}" if inside else "O" if tag == "I" else tag)
        rows.append({"tokens": draw.choices(WORDS, k=len(tags)), "tags": tags})
    return rows


def conll_file(draw: Random) -> DataFile:
    rows, end, gap = sentences(draw), draw.choice(["\n", "\r\n"]), draw.choice([" ", "\t"])
    middle = gap.join(["", *draw.choices(["NN", "_", "0"], k=draw.randint(0, 2))])
    blocks = [end.join(f"{word}{middle}{gap}{tag}" for word, tag in zip(*row.values(), strict=True)) for row in rows]
    if draw.random() < 0.5:
        blocks = [f"# sent_id = {number}{end}{block}" for number, block in enumerate(blocks)]
    if draw.random() < 0.5:
        blocks.insert(0, gap.join(["-DOCSTART-", "-X-", "O"]))
    content = (end * draw.choice([2, 2, 3])).join(blocks) + draw.choice(["", end, end * 2])
    return DataFile("token_classification", ".conll", rows, content.encode())


# How it is stored, and spoilt -----------------------------------------------------------------------------------------


def stored(draw: Random, file: DataFile) -> DataFile:
    """The file in an encoding and a compression; archives are cut sometimes."""
    encoding = draw.choice(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32"])
    if encoding != "utf-8":
        file = replace(file, content=file.content.decode("utf-8", "replace").encode(encoding))
    packing = draw.choice(["", "", "", *PACKED])
    file = replace(file, name=f"own{file.name}{packing}", content=PACKED[packing](file.content))
    if packing and draw.random() < 0.1:
        return replace(file, content=file.content[: draw.randrange(len(file.content))], spoilt="cut archive")
    return file


def spoilt(draw: Random, file: DataFile) -> DataFile:
    """One fault of editors, programs and people."""
    content, way = bytearray(file.content), draw.choice(WAYS)
    at, lines = draw.randrange(len(content)), file.content.split(b"\n")
    line = draw.randrange(len(lines))
    match way:
        case "cut":
            del content[at:]
        case "byte":
            content[at] = draw.randrange(256)
        case "mark":
            content[at:at] = b'"'
        case "separator":
            content[at:at] = (file.separator or ",").encode()
        case "line twice":
            lines.insert(line, lines[line])
        case "no line":
            del lines[line]
        case "blank":
            lines.insert(line, draw.choice([b" ", b",", b"\t"]))
        case "header":
            content = content.replace(draw.choice([b"label", b"text", b"tags"]), b"text", 1)
        case "latin":
            content = bytearray(content.decode().encode("latin-1", "replace"))
    new = b"\n".join(lines) if way in ("line twice", "no line", "blank") else bytes(content)
    return replace(file, content=new, spoilt=f"{way} at {at}, line {line}")
