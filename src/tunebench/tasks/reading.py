"""From the columns of a data frame to checked values: what problem types share when they read rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunebench._util.errors import UserError
from tunebench.tasks.json_rows import loads

if TYPE_CHECKING:
    import pandas as pd


def texts(frame: pd.DataFrame, column: str | None, place: str) -> list[Any]:
    """A column's texts; None for each row where there is no column.

    Raises:
        UserError: a row has no value, or a list.
    """
    if column is None:
        return [None] * len(frame)
    cells = frame[column].tolist()
    empty = [row for row, cell in zip(frame.index, cells, strict=True) if cell is None]
    if empty:
        rows = f"row {empty[0]} has" if len(empty) == 1 else f"{len(empty)} rows, the first is row {empty[0]}, have"
        raise UserError(f"{place}: {rows} no value in column '{column}'. Fill or remove them.")
    for row, cell in zip(frame.index, cells, strict=True):
        if not isinstance(cell, str):
            raise UserError(f"{place}, row {row}: column '{column}' has {str(cell)[:60]}, not a text. Write a text.")
    return cells


def full_texts(frame: pd.DataFrame, column: str | None, role: str, place: str) -> list[str]:
    """Texts that may not be empty."""
    values = texts(frame, column, place)
    for row, text in zip(frame.index, values, strict=True):
        if not text.strip():
            raise UserError(f"{place}, row {row}: the {role} is empty. Write one, or remove the row.")
    return values


def number(value: Any, place: str) -> float:
    """A finite number, as written with a decimal point.

    Raises:
        UserError: it is none.
    """
    plain = isinstance(value, str) and re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", value, re.ASCII)
    result = float(value) if plain else math.nan
    if not math.isfinite(result):
        comma = isinstance(value, str) and re.fullmatch(r"-?\d+,\d+", value)
        way_out = "Write a decimal point." if comma else "Write a number, such as 3.5."
        raise UserError(f"{place}: the score {value!r} is not a number. {way_out}")
    return result


def as_list(value: Any, place: str) -> list[Any]:
    """A list column's value; in csv and tsv a JSON list, or words separated by blanks."""
    if isinstance(value, str):
        try:
            parsed = loads(value)
        except ValueError:
            parsed = None
        if parsed is None and value.startswith("[") and value.endswith("]"):
            raise UserError(
                f'{place}: the list {value[:60]} is not JSON. Write ["like", "this"], or words separated by blanks.'
            )
        return parsed if isinstance(parsed, list) else value.split()
    return list(value) if isinstance(value, list) else []


def labels_of(frame: pd.DataFrame, column: str, place: str) -> list[tuple[str]]:
    """The one label of each row, as written.

    Raises:
        UserError: a row has none, a blank one, or several.
    """
    for row, value in zip(frame.index, frame[column], strict=True):
        if isinstance(value, str) and not value.strip():
            raise UserError(f"{place}, row {row}: the label is empty. Write one, or remove the row.")
        if isinstance(value, list | dict):
            shown = str(value)[:60]
            raise UserError(
                f"{place}, row {row}: the label {shown} is neither a word nor a number. Give one label per row."
            )
    return [(value,) for value in texts(frame, column, place)]


def class_names(labels: Iterable[str], place: str) -> tuple[str, ...]:
    """Distinct labels: whole numbers by value, words by alphabet, an order that does not depend on that of the rows.

    Raises:
        UserError: there are fewer than two.
    """
    distinct = set(labels)
    numbers = all(re.fullmatch(r"-?\d+", label, re.ASCII) for label in distinct)
    names = tuple(sorted(distinct, key=(lambda label: (int(label), label)) if numbers else None))
    if len(names) < 2:
        raise UserError(
            f"{place}: the training split has only one class ({', '.join(names) or 'none'}). "
            "Give examples of at least two classes."
        )
    return names


def classes_as_written(labels: Sequence[str], written: Iterable[str]) -> dict[str, int]:
    """Each label as it is written in the data -> its index.

    A label that stands in the stated list is that name. Only data that hold no name of the list, but whole numbers
    alone, are read as indices: so hub data sets write their classes.

    Args:
        labels: class names in the order of their indices.
        written: the labels of all splits.
    """
    values = set(written)
    if values and values.isdisjoint(labels) and all(value.isdecimal() and value == str(int(value)) for value in values):
        return {str(index): index for index in range(len(labels))}
    return {label: index for index, label in enumerate(labels)}


_UNLISTED = "Correct it, or name every label with labels: [...]."


def lookup(classes: Mapping[str, int], value: str, place: str) -> int:
    """The class index of a label as written.

    Raises:
        UserError: it is not in the list.
    """
    if value not in classes:
        raise UserError(f"{place}: the label {value!r} is not in the list: {', '.join(classes)}. {_UNLISTED}")
    return classes[value]
