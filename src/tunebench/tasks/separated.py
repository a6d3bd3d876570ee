"""Rows of csv and tsv text, by the standard library's strict parser.

What cannot be read exactly is refused with its line: a row of another width, a quotation mark that is never closed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.tasks.tables import FileTable

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LONG = 3
"""A quoted cell over at least so many lines that each look like a row is more likely an unclosed quotation mark."""

csv.field_size_limit(2**31 - 1)  # the library's limit of 131,072 characters is shorter than a long document


@dataclass(frozen=True)
class _Record:
    """One row: its cells, and the first and last line that it stands on, from 1."""

    cells: list[str]
    first: int
    last: int


def separated(text: str, place: str, separator: str, wanted: Sequence[str]) -> FileTable:
    """Rows under a header.

    Args:
        text: of the whole file.
        place: begins messages.
        separator: the usual one of the file's format.
        wanted: column names; another separator is taken where only it gives the header all of them.

    Raises:
        UserError: a row cannot be read exactly.
    """
    lines, usual = _lines(text), separator
    skipped = 0
    if lines and (hint := re.fullmatch(r"sep=(.)\s*", lines[0])):  # Excel's first line
        separator, skipped = hint[1], 1
    elif wanted:
        separator = _separator(lines, separator, wanted)
    quoted = separator != "\t" or _is_quoted([line for line in lines[skipped:] if line.strip()])
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
        if set(wanted) <= set(_names(header, separator)):
            return separator
    return usual


def _names(header: str, separator: str) -> list[str]:
    """The names of a header; none where it cannot be read, which an error says when its row is read."""
    try:
        return next(csv.reader([header.rstrip("\r")], delimiter=separator), [])
    except csv.Error:
        return []


def _is_quoted(lines: Sequence[str]) -> bool:
    """Whether a tsv quotes its cells as csv does; in most tsv files a quotation mark is a letter, also at the begin.

    It does where each line alone reads so, or where all rows then are as wide as the header and this is quoted, or is
    not as wide as all rows otherwise.
    """
    marked = [line for line in lines if '"' in line]
    if not marked:
        return False
    width = lines[0].count("\t") + 1
    if all(_width(line) == width for line in marked):
        return True
    named = all(re.fullmatch('".*"', name) for name in lines[0].rstrip("\r").split("\t"))
    as_letters = all(line.count("\t") + 1 == width for line in lines)
    return (named or not as_letters) and _width(*lines) == width


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
