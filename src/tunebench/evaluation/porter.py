"""The Porter stemmer (Porter 1980) with NLTK's changes, as ROUGE needs it.

rouge-score stems with NLTK, whose import takes seconds; snowballstemmer has the original algorithm, which differs on
one word in sixty. Tests hold every stem equal to NLTK's.
"""

import functools
import itertools
from collections.abc import Sequence

Rules = Sequence[tuple[str, str]]  # a suffix and its replacement; the first suffix that fits decides

_IRREGULAR = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "howe": "howe",
    "innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing",
    "cannings": "canning", "canning": "canning", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip
_PLURALS = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))
_DOUBLE_SUFFIXES = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
)  # fmt: skip
_ADJECTIVES = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip
_ENDINGS = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)  # fmt: skip


@functools.lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A lower-case word's stem; words of one or two letters are their own."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _without_past(_without_plural(word))
    if word.endswith("y") and len(word) > 2 and _consonants(word)[-2]:
        word = word[:-1] + "i"
    return _without_final_e(_without_ending(_simpler(_without_double_suffix(word), _ADJECTIVES)))


def _consonants(word: str) -> list[bool]:
    """Which letters are consonants: `y` is one at the start and after a vowel."""
    flags: list[bool] = []
    for letter in word:
        flags.append(letter not in "aeiou" and not (letter == "y" and flags and flags[-1]))
    return flags


def _measure(word: str) -> int:
    """How often a vowel is followed by a consonant: Porter's m."""
    flags = _consonants(word)
    return sum(after and not before for before, after in itertools.pairwise(flags))


def _is_short(word: str) -> bool:
    """Whether it ends like `hop` (not in w, x or y), or is a vowel and a consonant."""
    flags = _consonants(word)
    return flags == [False, True] or (flags[-3:] == [True, False, True] and word[-1] not in "wxy")


def _simpler(word: str, rules: Rules, least: int = 1) -> str:
    for suffix, replacement in rules:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return rest + replacement if _measure(rest) >= least else word
    return word


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _simpler(word, _PLURALS, least=0)


def _without_past(word: str) -> str:
    """Without `ed` and `ing`, and with the `e` that they displaced."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    rest = next((word.removesuffix(suffix) for suffix in ("ed", "ing") if word.endswith(suffix)), word)
    if rest == word or all(_consonants(rest)):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest[-1:] == rest[-2:-1] and _consonants(rest)[-1]:
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _is_short(rest) else rest


def _without_double_suffix(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _without_double_suffix(word[:-2])
    if word.endswith("logi"):  # the l belongs to the stem, so that `geologi` has one
        return word[:-1] if _measure(word[:-3]) else word
    return _simpler(word, _DOUBLE_SUFFIXES)


def _without_ending(word: str) -> str:
    ending = next((ending for ending in _ENDINGS if word.endswith(ending)), "")
    rest = word.removesuffix(ending)
    return rest if _measure(rest) > 1 and (ending != "ion" or rest[-1] in "st") else word


def _without_final_e(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _is_short(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
