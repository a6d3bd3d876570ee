"""Text of unknown origin for people: what would command a terminal, or turn the direction of a line, is shown."""

import json
import re
from typing import Any

_COMMANDS = re.compile(
    # Controls but line ends and tabs, marks of direction, separators that end lines, halves of surrogate pairs.
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufeff\\ud800-\\udfff]"
)


def escaped(text: str) -> str:
    r"""A text whose control characters and marks of direction are shown as escapes such as \x1b; line ends stay."""
    return _COMMANDS.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def escaped_within(value: Any) -> Any:
    """The same lists and mappings with every text in them escaped."""
    if isinstance(value, dict):
        return {key: escaped_within(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped_within(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON with the same characters escaped, as JSON escapes them; a reader of JSON sees the value as it is."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _COMMANDS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
