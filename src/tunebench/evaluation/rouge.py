"""ROUGE (Lin 2004) as the package rouge-score computes it, with stemming: F-measures.

Tests hold all of it equal to the package, which imports all of NLTK (seconds) and counts n-grams five times as slowly.
"""

import functools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunebench.evaluation.porter import stem

_WORD = re.compile("[a-z0-9]+")
# A full stop, quotation marks or brackets, a blank, and what begins a sentence.
_SENTENCE_END = re.compile(r"""([.!?]["')\u201d\u2019]*)\s+(?=["'(\u201c\u2018]*[A-Z0-9])""")


@functools.lru_cache(maxsize=1 << 15)  # texts: a value and its interval ask for the same
def rouge_n(n: int, prediction: str, reference: str) -> float:
    """F-measure of the n-grams of words in common, each as often as it occurs."""
    ours, theirs = _grams(n, prediction), _of_reference(n, reference)
    return _f_measure((ours & theirs).total(), ours.total(), theirs.total())


@functools.lru_cache(maxsize=1 << 15)
def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, over the whole text."""
    ours, theirs = _words(prediction), _words(reference)
    return _f_measure(len(_common(theirs, ours)), len(ours), len(theirs))


@functools.lru_cache(maxsize=1 << 15)
def rouge_lsum(prediction: str, reference: str) -> float:
    """F-measure of the union of the subsequences that each reference sentence shares with any predicted one.

    No word counts more often than it occurs in either text (ibid., section 3.2; ROUGE 1.5.5).
    """
    ours, theirs = ([_words(line) for line in sentences_on_lines(side).split("\n")] for side in (prediction, reference))
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
    return text if "\n" in text else _SENTENCE_END.sub(r"\1\n", text)


def _f_measure(hits: int, ours: int, theirs: int) -> float:
    precision, recall = hits / max(ours, 1), hits / max(theirs, 1)
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def _grams(n: int, text: str) -> Counter[Any]:
    words = _words(text)
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
