"""From the columns of a data frame to checked values: what problem types share when they read rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebench._util.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def texts(frame: pd.DataFrame, column: str | None, place: str) -> list[Any]:
    """A column's values as texts; None for each row without a column.

    Raises:
        UserError: a row has no value.
    """
    if column is None:
        return [None] * len(frame)
    missing = int(np.count_nonzero(frame[column].isna()))
    if missing:
        raise UserError(f"{place}: {missing} rows have no value in column '{column}'. Fill or remove them.")
    return frame[column].astype(str).tolist()


def full_texts(frame: pd.DataFrame, column: str | None, role: str, place: str) -> list[str]:
    """Texts that may not be empty."""
    values = texts(frame, column, place)
    for row, text in zip(frame.index, values, strict=True):
        if not text.strip():
            raise UserError(f"{place}, row {row}: the {role} is empty. Write one, or remove the row.")
    return values


def number(value: Any, place: str) -> float:
    """A finite number."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = float("nan")
    if not np.isfinite(result):
        raise UserError(f"{place}: the score {value!r} is not a number.")
    return result


def as_list(value: Any, place: str) -> list[Any]:
    """A list column's value; in csv and tsv a JSON list, or words separated by blanks."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if parsed is None and value.startswith("[") and value.endswith("]"):
            raise UserError(
                f'{place}: the list {value[:60]} is not JSON. Write ["like", "this"], or words separated by blanks.'
            )
        return parsed if isinstance(parsed, list) else value.split()
    return list(value) if isinstance(value, list | tuple | np.ndarray) else []


def class_names(values: Iterable[Any], place: str) -> tuple[str, ...]:
    """Distinct labels: integers by value, names by alphabet, an order that does not depend on that of the rows.

    Raises:
        UserError: there are fewer than two, or one is neither a word nor a number.
    """
    distinct = {_name(value, place) for value in values}
    numbers = all(isinstance(value, int | np.integer) for value in distinct)
    labels = tuple(str(value) for value in sorted(distinct, key=None if numbers else str))
    if len(labels) < 2:
        raise UserError(
            f"{place}: the training split has only one class ({', '.join(labels) or 'none'}). "
            "Give examples of at least two classes."
        )
    return labels


def _name(value: Any, place: str) -> Any:
    if isinstance(value, list | dict | np.ndarray):
        raise UserError(f"{place}: the label {value!r} is neither a word nor a number. Give one label per row.")
    return value


def label_index(listed: bool, labels: tuple[str, ...], values: Sequence[Any]) -> dict[Any, int]:
    """Raw value -> class index.

    Args:
        listed: whether the task lists its labels; integers are then already indices.
        labels: class names.
        values: all raw values of a split.
    """
    if listed and all(isinstance(value, int | np.integer) for value in values):
        return {index: index for index in range(len(labels))}
    return {label: index for index, label in enumerate(labels)}


def lookup(index: dict[Any, int], value: Any, place: str) -> int:
    """The class index of a raw value.

    Raises:
        UserError: the value is not in the list.
    """
    at = index.get(value if isinstance(value, int | np.integer) else str(value), index.get(str(value)))
    if at is None:
        raise UserError(f"{place}: the label {value!r} is not in the list: {', '.join(map(str, index))}.")
    return at
