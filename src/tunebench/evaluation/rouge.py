"""ROUGE (Lin 2004) as the package rouge-score computes it, with stemming: F-measures.

Tests hold all of it equal to the package, which imports all of NLTK (seconds) and counts n-grams five times as slowly.
The package knows the letters a to z only. Where a reference is mostly in others, the words of both texts are counted by
Unicode (`evaluation/words.py`, docs/decisions/0017).
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tunebench.evaluation.porter import stem
from tunebench.evaluation.words import pattern

_WORD = re.compile("[a-z0-9]+")
# A full stop, quotation marks or brackets, a blank, and what may begin a sentence; small letters do not.
_SENTENCE_END = re.compile(r"""([.!?]["')»\u201d\u2019]*)\s+(?=["'(«¿¡\u201c\u2018\u201e]*([^\W_]))""")
# Full stops of other scripts, which no blank needs to follow: 。！？．｡ of Chinese and Japanese, the danda of Hindi and
# Bengali, those of Arabic and Urdu, Armenian, Ethiopic, Burmese, Khmer.
_OTHER_END = re.compile(
    "([\u3002\uff01\uff1f\uff0e\uff61\u0964\u0965\u061f\u06d4\u0589\u1362\u1367\u104b\u17d4\u17d5]"
    "[\"')»\u201d\u2019\u300d\u300f\uff09]*)\\s*(?=\\S)"
)


@functools.lru_cache(maxsize=1 << 15)  # texts: a value and its interval ask for the same
def rouge_n(n: int, prediction: str, reference: str) -> float:
    """F-measure of the n-grams of words in common, each as often as it occurs."""
    tokens = tokens_for(reference)
    ours, theirs = _grams(n, prediction, tokens), _of_reference(n, reference, tokens)
    return _f_measure((ours & theirs).total(), ours.total(), theirs.total())


@functools.lru_cache(maxsize=1 << 15)
def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, over the whole text."""
    tokens = tokens_for(reference)
    ours, theirs = tokens(prediction), tokens(reference)
    return _f_measure(len(_common(theirs, ours)), len(ours), len(theirs))


@functools.lru_cache(maxsize=1 << 15)
def rouge_lsum(prediction: str, reference: str) -> float:
    """F-measure of the union of the subsequences that each reference sentence shares with any predicted one.

    No word counts more often than it occurs in either text (ibid., section 3.2; ROUGE 1.5.5).
    """
    tokens = tokens_for(reference)
    ours, theirs = ([tokens(line) for line in sentences_on_lines(side).split("\n")] for side in (prediction, reference))
    words = Counter[str](), Counter[str]()
    for counter, side in zip(words, (ours, theirs), strict=True):
        for sentence in side:
            counter.update(sentence)
    shared = Counter[str]()
    for sentence in theirs:
        shared.update(sentence[place] for place in set().union(*(_common(sentence, other) for other in ours)))
    return _f_measure((shared & words[0] & words[1]).total(), words[0].total(), words[1].total())


def sentences_on_lines(text: str) -> str:
    """A text with each sentence on its own line, as ROUGE-Lsum wants it; one that has lines keeps them."""
    text = text.strip()
    if "\n" in text:
        return text
    lines = _SENTENCE_END.sub(lambda end: end[0] if end[2].islower() else f"{end[1]}\n", text)
    return lines if lines.isascii() else _OTHER_END.sub(r"\1\n", lines)


def tokens_for(reference: str) -> Callable[[str], list[str]]:
    """The tokeniser of a reference and of the answers to it: rouge-score's, or Unicode's."""
    return _words if reference.isascii() or _mostly_latin(reference) else _unicode_words


def is_reference_tokeniser(reference: str) -> bool:
    """Whether a reference's words are counted as rouge-score counts them."""
    return tokens_for(reference) is _words


def _mostly_latin(text: str) -> bool:
    """Whether no more letters and digits are outside ASCII than are a to z."""
    latin = sum(character.isascii() and character.isalpha() for character in text)
    return latin >= sum(not character.isascii() and character.isalnum() for character in text)


def _f_measure(hits: int, ours: int, theirs: int) -> float:
    precision, recall = hits / max(ours, 1), hits / max(theirs, 1)
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def _grams(n: int, text: str, tokens: Callable[[str], list[str]]) -> Counter[Any]:
    words = tokens(text)
    return Counter(words if n == 1 else zip(*(words[start:] for start in range(n)), strict=False))


_of_reference = functools.lru_cache(maxsize=1 << 14)(_grams)  # references meet every technique and seed


def _common(theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
    """Places in `theirs` of a longest common subsequence: of several the one that rouge-score finds."""
    table = [[0] * (len(ours) + 1)]
    for word in theirs:
        above, row = table[-1], [0]
        for place, other in enumerate(ours):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
        table.append(row)
    matches, i, j = [], len(theirs), len(ours)
    while i and j:
        if theirs[i - 1] == ours[j - 1]:
            i, j = i - 1, j - 1
            matches.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return matches


def _words(text: str) -> list[str]:
    """The tokens of rouge-score's `use_stemmer=True`: words of more than three letters are stemmed."""
    return [stem(word) if len(word) > 3 else word for word in _WORD.findall(text.lower())]


def _unicode_words(text: str) -> list[str]:
    """Words of any letters; those of a to z are stemmed, as above."""
    words = _any_word().findall(unicodedata.normalize("NFC", text.lower()))
    return [stem(word) if len(word) > 3 and word.isascii() else word for word in words]


@functools.cache
def _any_word() -> re.Pattern[str]:
    return re.compile(pattern(without="_"))
