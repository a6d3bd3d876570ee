"""Errors that a user can act on."""

import errno
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr

from tunebench._util.visible import escaped


class UserError(Exception):
    """A mistake in the input: shown as one line without a traceback, exit code 2.

    The message names the place, the value and the way out.
    """


class RunError(Exception):
    """A run that cannot give an honest result, such as a loss that is not a number.

    It fails its own run, recorded with its traceback, and stops no other.
    """


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def unwritable(error: BaseException) -> OSError | None:
    """The system's error where one says that a disk is full or a folder cannot be written, or was caused by that.

    safetensors hides the system's number in its message.
    """
    cause: BaseException | None = error
    while cause is not None:
        hidden = re.search(r"\(os error (\d+)\)", str(cause))
        number = cause.errno if isinstance(cause, OSError) else int(hidden[1]) if hidden else None
        if number in _NO_ROOM:
            named = cause.filename if isinstance(cause, OSError) else None
            return OSError(number, os.strerror(number), named)
        cause = cause.__cause__ or cause.__context__
    return None


def shown(value: object, letters: int = 80) -> str:
    """A value in a message: a text as it is, anything else as Python writes it, cut at `letters`, all printable."""
    text = value if isinstance(value, str) else _written(value)
    visible = escaped(" ".join(text.split()))
    return visible if len(visible) <= letters else visible[: letters - 1] + "…"


def _written(value: object) -> str:
    try:
        return _BRIEF.repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return f"a {type(value).__name__}"


_BRIEF = Repr()
_BRIEF.maxstring = _BRIEF.maxother = 200
_BRIEF.maxlist = _BRIEF.maxdict = 12
_BRIEF.maxlevel = 4


def message_of(error: UserError) -> str:
    """A user's error for the terminal: escaped, and a line of more than 400 characters without its middle."""
    return "\n".join(_cut(line) for line in escaped(str(error)).split("\n"))


def _cut(line: str) -> str:
    return line if len(line) <= 400 else f"{line[:250]} … {line[-147:]}"


def did_you_mean(value: str, options: Iterable[str]) -> str:
    """The end of an error message, in one line: the closest option, or all of them."""
    options = sorted(options)
    close = get_close_matches(value[:100], options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{shown(close[0])}'?"
    return f"Choose from: {', '.join(map(shown, options))}."


def brief(error: BaseException, letters: int = 200) -> str:
    """A library's error as part of a line: its first line without the full stop, truncated at `letters`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0].removesuffix(".") if lines else type(error).__name__
    return first if len(first) <= letters else first[: letters - 1] + "…"
