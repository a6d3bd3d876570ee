"""Rows of a data file: a cell is the text that stands there, until a problem type asks for a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FileTable:
    """Rows of a file.

    Attributes:
        columns: name -> one cell for each row: a text, None where it is empty, or a list or dict of texts.
        blocks: for each row of a csv or tsv file how many blank lines stand before it; empty for other formats.
        notes: what the reader did that a user should know.
        names: column -> the names of the classes whose indices it holds, where the file says so.
    """

    columns: dict[str, list[Any]]
    blocks: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
