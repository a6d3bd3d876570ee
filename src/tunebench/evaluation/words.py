"""Words of texts in any script: what ROUGE, TF-IDF and the search for overlaps count.

A word is a run of letters, marks and digits. Chinese, Japanese, Thai, Lao, Khmer and Burmese put no blanks between
words, and finding their words takes a dictionary each: there every letter with its marks is a word, as in the
evaluation of translations into Chinese (sacreBLEU's `zh`).
"""

import functools
import re
import unicodedata

_UNDIVIDED = (
    "\u0e01-\u0e4f\u0e80-\u0ecf\u0edc-\u0eff"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109f\uaa60-\uaa7f\ua9e0-\ua9ef"  # Burmese
    "\u1780-\u17df"  # Khmer
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
)
_UNDIVIDED_LETTER = re.compile(f"[{_UNDIVIDED}]")
_LAST_MARK = 0x1FFFF  # beyond are only selectors of a character's variants


def words(text: str) -> list[str]:
    """The words of a text, as they stand there."""
    return _word().findall(text)


def undivided(text: str) -> bool:
    """Whether a text has letters of a script that puts no blanks between words."""
    return not text.isascii() and _UNDIVIDED_LETTER.search(text) is not None


@functools.cache
def pattern(without: str = "") -> str:
    r"""The regular expression of a word: Python's `\w` knows no marks, and would cut every Hindi word into pieces.

    Args:
        without: letters and digits that belong to no word, as a part of a character class.
    """
    marks = _class("M")
    return f"[{_UNDIVIDED}][{marks}]*|(?:[^\\W{_UNDIVIDED}{without}]|[{marks}])+"


@functools.cache
def _word() -> re.Pattern[str]:
    return re.compile(pattern())


def _class(*categories: str) -> str:
    """The characters of some of Unicode's categories as ranges."""
    known = [code for code in range(0x80, _LAST_MARK) if unicodedata.category(chr(code)).startswith(categories)]
    starts = [code for code, before in zip(known, [0, *known], strict=False) if code != before + 1]
    ends = [code for code, after in zip(known, [*known[1:], 0], strict=True) if code != after - 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
