"""A data file as rows of cells, by the format that its ending names.

Nothing is guessed from a cell: `01`, `1.10`, `true` and `NA` are these texts, in every format. What cannot be read
exactly is refused with file, row and way out; what is left out is counted in the notes.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError, shown
from tunebench._util.files import is_file
from tunebench.tasks.json_rows import json_rows
from tunebench.tasks.separated import separated
from tunebench.tasks.tables import FileTable, as_cell

if TYPE_CHECKING:
    import pyarrow

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


def ending_of(path: Path) -> str:
    """The ending that names a file's format, in lower case, without that of its compression: `.csv` of `a.csv.gz`."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() if last in _PACKED else last


def packed(ending: str) -> tuple[str, ...]:
    """The ending, and with each compression behind it."""
    return (ending, *(f"{ending}{last}" for last in _PACKED))


def read(path: Path, wanted: Sequence[str], others: Mapping[str, Callable[[str, str], FileTable]]) -> FileTable:
    """The rows of a csv, tsv, json, jsonl, parquet or Arrow file, compressed by gzip, bzip2 or xz or not.

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
        raise UserError(f"{path} cannot be read ({error}). Save it again, or give it uncompressed.") from error


def parsed(
    content: bytes,
    ending: str,
    place: str,
    wanted: Sequence[str],
    others: Mapping[str, Callable[[str, str], FileTable]],
) -> FileTable:
    """The rows of a file's content, as `read`; `place` begins messages."""
    if ending in _COLUMNAR:
        return _columnar(content, ending, place)
    text, notes = decoded(content, place)
    if ending in others:
        table = others[ending](text, place)
    elif ending in (".csv", ".tsv"):
        table = separated(text, place, "\t" if ending == ".tsv" else ",", wanted)
    else:
        table = json_rows(text, place)
    return replace(table, notes=(*notes, *table.notes))


_COLUMNAR = (".parquet", ".arrow", ".feather")
READERS = (".csv", ".tsv", ".jsonl", ".json", *_COLUMNAR)


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


def _columnar(content: bytes, ending: str, place: str) -> FileTable:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content)).read() if ending == ".parquet" else _arrow(content)
        cells = [column.to_pylist() for column in table.columns]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{place} cannot be read as {ending[1:]} ({first}). Write it again.") from error
    columns = {}
    for name, values in zip(table.column_names, cells, strict=True):
        if name in columns:
            raise UserError(f"{place}: two columns are named '{name}'. Rename one.")
        try:
            columns[name] = [as_cell(value) for value in values]
        except ValueError as error:
            raise UserError(f"{place}, column '{name}': {error}.") from None
    return FileTable(columns, names=_class_names(table.schema.metadata))


def _arrow(content: bytes) -> pyarrow.Table:
    """A file of Arrow's format, or a stream, as the library datasets saves it."""
    import pyarrow
    import pyarrow.ipc

    buffer = pyarrow.py_buffer(content)
    try:
        return pyarrow.ipc.open_file(buffer).read_all()
    except pyarrow.ArrowInvalid:
        return pyarrow.ipc.open_stream(buffer).read_all()


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Column -> names of its classes, where the library datasets wrote them into the file."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    found = {str(column): _names_in(feature) for column, feature in features.items()}
    return {column: names for column, names in found.items() if names}


def _names_in(feature: Any) -> tuple[str, ...]:
    """Those of a class label, or of a list of them."""
    if isinstance(feature, list) and feature:
        return _names_in(feature[0])
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") == "ClassLabel":
        return tuple(map(str, feature.get("names") or ()))
    return _names_in(feature.get("feature"))
