"""Columns that a template makes of others: `{title}. {body}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.tasks.tables import FileTable

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


def fields_of(column: str) -> list[str]:
    """The columns that a template names; none where it is the name of a column."""
    return [name for match in _FIELD.finditer(column) if (name := match[1]) is not None]


def filled_in(table: FileTable, columns: Sequence[str], place: str) -> FileTable:
    """The table with a column for each template among `columns`, named as the template is written.

    An empty cell leaves its place in the text empty, and is counted; a row whose cells are all empty has no text.

    Raises:
        UserError: a template names a column that does not exist, or a cell that holds a list.
    """
    made, notes = dict(table.columns), list(table.notes)
    for template in columns:
        fields = [] if template in table.columns else fields_of(template)
        if not fields:
            continue
        for name in fields:
            if name not in table.columns:
                raise UserError(
                    f"{place} has no column '{name}' (for '{template}'). {did_you_mean(name, table.columns)}"
                )
        rows = list(zip(*(table.columns[name] for name in fields), strict=True))
        made[template] = [_text(template, fields, cells, f"{place}, row {at}") for at, cells in enumerate(rows, 1)]
        some = sum(any(cell is None for cell in cells) and any(cell is not None for cell in cells) for cells in rows)
        if some:
            notes.append(f"{Path(place).name}: {plural(some, 'row')} with an empty field in '{template}'.")
    return replace(table, columns=made, notes=tuple(notes))


def _text(template: str, fields: Sequence[str], cells: Sequence[Any], place: str) -> str | None:
    for name, cell in zip(fields, cells, strict=True):
        if cell is not None and not isinstance(cell, str):
            raise UserError(f"{place}: column '{name}' has {str(cell)[:60]}, not a text. Leave it out of '{template}'.")
    if all(cell is None for cell in cells):
        return None
    return _FIELD.sub(_filling(dict(zip(fields, cells, strict=True))), template)


def _filling(cells: dict[str, str | None]) -> Callable[[re.Match[str]], str]:
    def fill(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else cells[match[1]] or ""

    return fill
