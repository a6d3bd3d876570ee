"""What a data file holds, read cell by cell with the standard library's csv and json alone: none of our reading code.

A cell is a text, None where it is empty, or a list of texts. A file that has no such rows is `UnreadableError`.
"""

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

csv.field_size_limit(2**31 - 1)

Rows = list[dict[str, Any]]
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class UnreadableError(Exception):
    """The file has no rows that anyone could name."""


@dataclass(frozen=True)
class Read:
    """Rows, and how many rows without any value stand between them."""

    rows: Rows
    blank: int = 0


def text_of(name: str, content: bytes) -> str:
    """The text of a file, uncompressed."""
    opener = next((OPENERS[end] for end in OPENERS if name.endswith(end)), None)
    try:
        content = opener(io.BytesIO(content)).read() if opener else content
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise UnreadableError(f"compression: {error}") from error
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    try:
        text = content[len(mark) :].decode(MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableError(f"encoding: {error}") from error
    if "\0" in text:
        raise UnreadableError("NUL")
    return text


def separated(text: str, separator: str, quoted: bool = True) -> Read:
    """Rows under the header of a csv or tsv file."""
    if re.match(r"sep=.\s*[\r\n]", text):
        text = re.split(r"\r\n|\n|\r", text, maxsplit=1)[1]
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        read = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting))
    except csv.Error as error:
        raise UnreadableError(f"csv: {error}") from error
    full = [cells for cells in read if any(cell.strip() for cell in cells)]
    header, body = (full[0], full[1:]) if full else ([], [])
    if any(len(cells) != len(header) for cells in body):
        raise UnreadableError("rows of another width")
    if len({name for name in header if name}) < len([name for name in header if name]):
        raise UnreadableError("two columns of one name")
    rows = [{name: cell or None for name, cell in zip(header, cells, strict=True) if name} for cells in body]
    return Read(rows, sum(bool(cells) for cells in read) - len(full))


def lines_of_json(text: str) -> Read:
    """One object per line."""
    return Read(_filled([_loads(line) for line in text.split("\n") if line.strip()]))


def whole_json(text: str) -> Read:
    """A list of objects, also under `data`, an object of columns, or one row."""
    value = _loads(text)
    if isinstance(value, dict) and isinstance(value.get("data"), list) and len(value) == 1:
        value = value["data"]
    if isinstance(value, dict) and not all(isinstance(cells, list) for cells in value.values()):
        value = [value]
    if isinstance(value, dict):
        if len({len(cells) for cells in value.values()}) > 1:
            raise UnreadableError("columns of different lengths")
        value = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    return Read(_filled(value))


def conll(text: str) -> Read:
    """Sentences of a CoNLL file: the first and the last column of each line."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    tabs = any("\t" in line for line in lines)
    sentences: list[list[list[str]]] = [[]]
    words = [line.split("\t") if tabs else line.split() for line in lines if line.strip() and line[0] not in "#-"]
    width = len(words[0]) if words else 0
    for line in lines:
        cells = line.split("\t") if tabs else line.split()
        if not line.strip():
            sentences.append([])
            continue
        tagged = len(cells) == width and re.fullmatch("O|[BI]-.+", cells[-1])
        if cells[0] == "-DOCSTART-" or (line.startswith("#") and not tagged):
            continue
        if len(cells) != width:
            raise UnreadableError("lines of another width")
        sentences[-1].append(cells)
    kept = [sentence for sentence in sentences if sentence]
    return Read([{"tokens": [c[0] for c in words], "tags": [c[-1] for c in words]} for words in kept])


def _loads(text: str) -> Any:
    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("one key twice")
        return dict(pairs)

    try:
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=unique)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"json: {error}") from error
    return _written(value)


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return [_written(item) for item in value]
    return {key: _written(item) for key, item in value.items()} if isinstance(value, dict) else value


def _filled(rows: Any) -> Rows:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableError("no objects")
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]
