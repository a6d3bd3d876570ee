"""Rows of JSON text: lines of objects, a list of objects, an object of columns, or rows under `data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError
from tunebench.tasks.tables import FileTable, as_cell, table_of


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


def json_rows(text: str, place: str) -> FileTable:
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
        raise UserError(f"{place} cannot be read as JSON ({error}). {_ROWS}") from None


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
