"""What a YAML document may hold: text, numbers, true, false, null, lists and mappings, as JSON, of a human size."""

import math
from collections.abc import Iterator
from typing import Any

from tunebench._util.errors import UserError, shown

_DEEPEST, _MOST_VALUES, _LONGEST_TEXT, _LARGEST = 40, 100_000, 20_000, 2**63 - 1
_TOO_MANY = f"it has more than {_MOST_VALUES:,} values. Use fewer anchors."


def refuse_others(content: Any, source: str) -> None:
    """Refuse what has no place in a study, at its place.

    Raises:
        UserError: a value is no JSON value, nests too deep, or anchors make it contain itself or very much.
    """
    for count, (place, value) in enumerate(_values(content, "", ()), 1):
        reason = _reason(value) if count <= _MOST_VALUES else _TOO_MANY
        if reason:
            raise UserError(f"{source}: {shown(place) + ': ' if place else ''}{reason}")


def _values(value: Any, place: str, above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Every value with its place, a key before its value; stops below what `_reason` refuses."""
    yield place, _Circle() if id(value) in above else _Depth() if len(above) > _DEEPEST else value
    if isinstance(value, dict):
        for key, item in value.items():
            yield place, key if isinstance(key, str) else _Key(key)
            yield from _values(item, f"{place}.{key}".lstrip("."), (*above, id(value)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{place}[{index}]", (*above, id(value)))


class _Circle:
    """Stands for a value that contains itself."""


class _Depth:
    """Stands for a value that nests too deep."""


class _Key:
    """A key that is no text."""

    def __init__(self, key: Any):
        self.key = key


def _reason(value: Any) -> str | None:
    """What is wrong with a value itself."""
    match value:
        case None | bool() | dict() | list():
            return None
        case str():
            return _of_text(value)
        case int() if abs(value) > _LARGEST:
            return f"an integer of {value.bit_length()} bits is too large. Use at most 63 bits."
        case float() if not math.isfinite(value):
            return f"{value} is no number to compute with. Give a finite one, or omit the field."
        case int() | float():
            return None
        case _Circle():
            return "an anchor contains itself. Write the value out."
        case _Depth():
            return f"more than {_DEEPEST} levels of lists and mappings. Use fewer."
        case _Key():
            return f"{shown(value.key)} is a key that is no text. Put it in quotation marks."
        case _:
            return f"YAML reads {shown(str(value))} as a {type(value).__name__}. Put it in quotation marks."


def _of_text(text: str) -> str | None:
    if len(text) > _LONGEST_TEXT:
        return f"a text of {len(text):,} characters is too long. Use at most {_LONGEST_TEXT:,}."
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{shown(text)} contains a character that is no text (NUL, or half of a surrogate pair). Remove it."
    return None
