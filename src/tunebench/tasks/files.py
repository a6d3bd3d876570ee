"""A data file as rows of cells: a cell is the text that stands in the file, until a problem type asks for a number.

Nothing is guessed from a cell: `01`, `1.10`, `true` and `NA` are these texts, in every format. What cannot be read
exactly is refused with file, row and way out; what is left out is counted in the notes.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, shown
from tunebench._util.files import is_file
from tunebench._util.words import plural

_PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins with the mark of UTF-16, so it comes first
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LONG = 3
"""A quoted cell over at least so many lines that each look like a row is more likely an unclosed quotation mark."""

csv.field_size_limit(2**31 - 1)  # the library's limit of 131,072 characters is shorter than a long document


@dataclass(frozen=True)
class FileTable:
    """Rows of a file.

    Attributes:
        columns: name -> one cell for each row: a text, None where it is empty, or a list or dict of texts.
        blocks: for each row of a csv or tsv file how many blank lines stand before it; empty for other formats.
        notes: what the reader did that a user should know.
    """

    columns: dict[str, list[Any]]
    blocks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def table_of(rows: Iterable[Mapping[str, Any]]) -> FileTable:
    """Rows of Python values as a table; keys that a row lacks are empty cells."""
    rows = list(rows)
    names = dict.fromkeys(key for row in rows for key in row)
    return FileTable({name: [as_cell(row.get(name)) for row in rows] for name in names})


def as_cell(value: Any) -> Any:
    """A value of a typed format as the text that JSON writes for it; lists and dicts hold such texts.

    Raises:
        ValueError: bytes that are not UTF-8.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"it holds bytes that are not UTF-8 text ({value[:12]!r}); store it as text") from None
    if isinstance(value, dict):
        return {str(key): as_cell(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_cell(item) for item in value]
    return str(value)


# Bytes and encodings --------------------------------------------------------------------------------------------------


def ending_of(path: Path) -> str:
    """The ending that names a file's format, in lower case, without that of its compression: `.csv` of `a.csv.gz`."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() if last in _PACKED else last


def packed(ending: str) -> tuple[str, ...]:
    """The ending, and with each compression behind it."""
    return (ending, *(f"{ending}{last}" for last in _PACKED))


def read(path: Path, wanted: Sequence[str], others: Mapping[str, Callable[[str, str], FileTable]]) -> FileTable:
    """The rows of a csv, tsv, json, jsonl or parquet file, compressed by gzip, bzip2 or xz or not.

    Args:
        path: the file.
        wanted: column names; where a csv or tsv has them under another separator only, that one is used.
        others: ending -> reader of (text, place), for formats that only one problem type has.

    Raises:
        UserError: there is no such file, or it cannot be read exactly as the format that its ending names.
    """
    ending = ending_of(path)
    if not is_file(path):
        raise UserError(f"there is no file {shown(str(path), 200)}. Check the path under data.")
    known = [*READERS, *others]
    if ending not in known:
        raise UserError(f"{path} is not in a supported format. Use one of {', '.join(known)}.")
    return parsed(content_of(path), ending, str(path), wanted, others)


def content_of(path: Path) -> bytes:
    """A file's bytes, without its compression.

    Raises:
        UserError: it cannot be read.
    """
    try:
        content = path.read_bytes()
        return _PACKED[path.suffix.lower()](content) if path.suffix.lower() in _PACKED else content
    except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:  # each compression has its own
        raise UserError(f"{path} cannot be read ({error}).") from error


def parsed(
    content: bytes,
    ending: str,
    place: str,
    wanted: Sequence[str],
    others: Mapping[str, Callable[[str, str], FileTable]],
) -> FileTable:
    """The rows of a file's content, as `read`; `place` begins messages."""
    if ending == ".parquet":
        return _parquet(content, place)
    text, notes = decoded(content, place)
    if ending in others:
        table = others[ending](text, place)
    elif ending in (".csv", ".tsv"):
        table = _separated(text, place, "\t" if ending == ".tsv" else ",", wanted)
    else:
        table = _json(text, place)
    return replace(table, notes=(*notes, *table.notes))


READERS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


def decoded(content: bytes, place: str) -> tuple[str, list[str]]:
    """The text of a file, by its byte order mark, else as UTF-8; and a note where it is not UTF-8.

    Raises:
        UserError: it is not in that encoding, or it is binary.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if mark:
            raise UserError(
                f"{place} has the mark of {encoding.upper()} but is not ({error}). Save it again."
            ) from None
        raise UserError(_other_encoding(content, place, error.start)) from None
    if "\0" in text:
        raise UserError(
            f"{place} holds NUL characters: it is binary, or UTF-16 without its mark. Convert it: "
            "iconv -f UTF-16LE -t UTF-8 OLD > NEW."
        )
    return text, [f"{Path(place).name} is {encoding.upper()}."] if encoding != "utf-8" else []


def _other_encoding(content: bytes, place: str, at: int) -> str:
    line = content.count(b"\n", 0, at) + 1
    around = content[max(0, at - 10) : at + 10].decode("cp1252", "replace")
    around = " ".join(around.split())
    return (
        f"{place}, line {line}: the byte 0x{content[at]:02X} is not UTF-8. In Windows-1252, which covers Latin-1, the "
        f"place reads '{around}'. If that is right, convert the file: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW, or "
        "save it as UTF-8."
    )


# csv and tsv ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Record:
    """One row: its cells, and the first and last line that it stands on, from 1."""

    cells: list[str]
    first: int
    last: int


def _separated(text: str, place: str, separator: str, wanted: Sequence[str]) -> FileTable:
    lines, usual = _lines(text), separator
    skipped = 0
    if lines and (hint := re.fullmatch(r"sep=(.)\s*", lines[0])):  # Excel's first line
        separator, skipped = hint[1], 1
    elif wanted:
        separator = _separator(lines, separator, wanted)
    quoted = separator != "\t" or _is_quoted(lines)
    records = list(_records(lines[skipped:], separator, quoted, place, skipped))
    notes = []
    if separator != usual and not skipped:
        notes.append(f"{Path(place).name} is separated by {_SEPARATORS[separator]}.")
    if separator == "\t" and quoted:
        notes.append(f"{Path(place).name} quotes its cells as csv does: the quotation marks around them are not text.")
    return _table(records, lines, place, notes)


def _lines(text: str) -> list[str]:
    """Lines without the line feed that ends them, or the carriage return in a file that has no line feed."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text.split("\n") if not text.endswith("\n") else text[:-1].split("\n")


def _separator(lines: Sequence[str], usual: str, wanted: Sequence[str]) -> str:
    """The separator under which the header has all wanted columns, the usual one first."""
    header = next((line for line in lines if line.strip()), "")
    for separator in dict.fromkeys((usual, *_SEPARATORS)):
        names = next(csv.reader([header.rstrip("\r")], delimiter=separator), [])
        if set(wanted) <= set(names):
            return separator
    return usual


def _is_quoted(lines: Sequence[str]) -> bool:
    """Whether a tsv quotes its cells as csv does; in most tsv files a quotation mark is a letter, also at the begin.

    It does where each line alone reads so, or where only then all rows are as wide as the header.
    """
    marked = [line for line in lines if '"' in line]
    if not marked:
        return False
    width = lines[0].count("\t") + 1
    if all(_width(line) == width for line in marked):
        return True
    as_letters = all(line.count("\t") + 1 == width for line in lines if line.strip())
    return not as_letters and _width(*lines) == width


def _width(*lines: str) -> int | None:
    """How many cells each row has where cells are quoted; None where rows differ or cannot be read."""
    try:
        widths = {
            len(cells) for cells in csv.reader([f"{line}\n" for line in lines], "excel-tab", strict=True) if cells
        }
    except csv.Error:
        return None
    return widths.pop() if len(widths) == 1 else None


def _records(lines: Sequence[str], separator: str, quoted: bool, place: str, skipped: int) -> Iterable[_Record]:
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    quotechar = '"' if quoted else None
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=separator, strict=True, quoting=quoting, quotechar=quotechar
    )
    last = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{place}, line {last + 1 + skipped}: this row cannot be read ({error}). Write a quotation mark inside "
                'a quoted cell twice (""), and close each that opens a cell.'
            ) from None
        yield _Record(cells, last + 1 + skipped, reader.line_num + skipped)
        last = reader.line_num


def _table(records: Sequence[_Record], lines: Sequence[str], place: str, notes: list[str]) -> FileTable:
    full = [record for record in records if any(cell.strip() for cell in record.cells)]
    if not full:
        return FileTable({})
    header, body = full[0], full[1:]
    _check_header(header, place)
    broken = 0
    for number, record in enumerate(body, 1):
        where = f"{place}, row {number} (line {record.first})"
        if len(record.cells) != len(header.cells):
            raise UserError(
                f"{where}: it has {plural(len(record.cells), 'field')}, the header {len(header.cells)}. Put a cell "
                "that holds the separator in quotation marks, or correct the row."
            )
        if record.last > record.first:
            _check_span(record, lines, len(header.cells), where)
            broken += 1
    if broken:
        notes.append(f"{Path(place).name}: cells of {plural(broken, 'row')} hold line breaks.")
    without = sum(bool(record.cells) and not any(cell.strip() for cell in record.cells) for record in records)
    if without:
        notes.append(f"{Path(place).name}: {plural(without, 'row')} without any value left out.")
    columns = {name: [record.cells[at] or None for record in body] for at, name in enumerate(header.cells) if name}
    return FileTable(columns, tuple(_blocks(records, body)), tuple(notes))


def _blocks(records: Sequence[_Record], body: Sequence[_Record]) -> list[int]:
    kept, blocks, blank = {id(record) for record in body}, [], 0
    for record in records:
        if id(record) in kept:
            blocks.append(blank)
        elif blocks:
            blank += 1
    return blocks


def _check_header(header: _Record, place: str) -> None:
    names = [name for name in header.cells if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{place}: two columns are named '{twice[0]}'. Rename one.")


def _check_span(record: _Record, lines: Sequence[str], width: int, where: str) -> None:
    """Refuse a cell that runs over lines which each look like a row of their own: its mark was never closed."""
    span = [line.rstrip("\r") for line in lines[record.first - 1 : record.last]]
    for separator in _SEPARATORS:
        if len(span) >= _LONG and width > 1 and all(line.count(separator) == width - 1 for line in span):
            raise UserError(
                f"{where}: a quotation mark opens a cell that ends {len(span) - 1} lines later, and each line between "
                'looks like a row. Close the mark, or write it twice ("") inside a quoted cell.'
            )


# json and jsonl -------------------------------------------------------------------------------------------------------


def loads(text: str) -> Any:
    """JSON whose numbers stay the texts that they are; true and false as well.

    Raises:
        ValueError: it is no JSON, nested too deeply, has half of a surrogate pair, or an object has one key twice.
    """
    try:
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if "\\u" in text:  # only an escape can write half of a pair, which no file in UTF-8 can hold
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"it has half of a surrogate pair, {error.object[error.start]!r}") from None
    return as_cell(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key '{next(key for key in keys if keys.count(key) > 1)}' twice")
    return content


def _json(text: str, place: str) -> FileTable:
    """One JSON value, or one object per line, whichever the file holds."""
    name, stripped = Path(place).suffix, text.lstrip()
    if not stripped:
        return FileTable({})
    if stripped.startswith("["):
        return _json_rows(_whole(text, place), place)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        first = loads(lines[0][1])
    except ValueError as error:
        if name.lower() == ".jsonl" and len(lines) > 1:
            raise UserError(
                f"{place}, line {lines[0][0]}: it is not JSON ({error}). Write one object per line."
            ) from None
        first = None
    if first is None or (len(lines) == 1 and isinstance(first, dict) and name.lower() != ".jsonl"):
        return _json_columns(_whole(text, place), place)
    rows = []
    for number, line in lines:
        try:
            rows.append(loads(line))
        except ValueError as error:
            raise _no_json(place, number, error) from None
    return _json_rows(rows, place)


def _no_json(place: str, line: int, error: ValueError) -> UserError:
    return UserError(f"{place}, line {line}: it is not JSON ({error}). Write one object per line.")


def _whole(text: str, place: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise UserError(f"{place} cannot be read as JSON ({error}).") from None


def _json_rows(rows: Any, place: str) -> FileTable:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(
                f'{place}, row {number}: {str(row)[:60]!r} is not an object. Write {{"text": ..., "label": ...}}.'
            )
    return table_of(rows)


_ROWS = "Write a list of objects, one for each row."


def _json_columns(value: Any, place: str) -> FileTable:
    """An object of columns, each a list of cells or an object of row -> cell; rows under `data`; or one row."""
    rows = value.get("data") if isinstance(value, dict) else None
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        return table_of(rows)
    if isinstance(value, dict) and value and all(isinstance(cells, list) for cells in value.values()):
        columns = dict(value)
    elif isinstance(value, dict) and value and all(isinstance(cells, dict) for cells in value.values()):
        keys = [list(cells) for cells in value.values()]
        if any(other != keys[0] for other in keys):
            raise UserError(
                f"{place}: its columns do not have the same rows. Write a list of objects, one for each row."
            )
        columns = {name: list(cells.values()) for name, cells in value.items()}
    elif isinstance(value, dict):
        return table_of([value])
    else:
        raise UserError(f"{place}: it holds neither rows nor columns. {_ROWS}")
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise UserError(
            f"{place}: its columns differ in length ({sorted(lengths)}). Write a list of objects, one for each row."
        )
    return FileTable(columns)


# parquet --------------------------------------------------------------------------------------------------------------


def _parquet(content: bytes, place: str) -> FileTable:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content)).read()
        cells = [column.to_pylist() for column in table.columns]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{place} cannot be read as parquet ({first}).") from error
    columns = {}
    for name, values in zip(table.column_names, cells, strict=True):
        if name in columns:
            raise UserError(f"{place}: two columns are named '{name}'. Rename one.")
        try:
            columns[name] = [as_cell(value) for value in values]
        except ValueError as error:
            raise UserError(f"{place}, column '{name}': {error}.") from None
    return FileTable(columns)
