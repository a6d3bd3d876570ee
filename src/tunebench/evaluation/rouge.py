"""ROUGE (Lin 2004) as the package rouge-score has it, with stemming: F-measures.

Words and n-grams are counted here, in a fifth of the package's time; longest common subsequences are the package's.
Tests hold all of it equal to the package.
"""

import functools
import importlib
import importlib.util
import re
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

_WORD = re.compile("[a-z0-9]+")
# A full stop, quotation marks or brackets, a blank, and what begins a sentence.
_SENTENCE_END = re.compile(r"""([.!?]["')\u201d\u2019]*)\s+(?=["'(\u201c\u2018]*[A-Z0-9])""")


@functools.lru_cache(maxsize=1 << 15)  # texts: a value and its interval ask for the same
def rouge_n(n: int, prediction: str, reference: str) -> float:
    """F-measure of the n-grams of words in common, each as often as it stands."""
    ours, theirs = _grams(n, prediction), _of_reference(n, reference)
    hits = (ours & theirs).total()
    return _f_measure(hits / max(ours.total(), 1), hits / max(theirs.total(), 1))


@functools.lru_cache(maxsize=1 << 15)
def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, over the whole text."""
    return _scorer("rougeL").score(reference, prediction)["rougeL"].fmeasure


@functools.lru_cache(maxsize=1 << 15)
def rouge_lsum(prediction: str, reference: str) -> float:
    """The same sentence by sentence (ibid., section 3.2)."""
    sides = sentences_on_lines(reference), sentences_on_lines(prediction)
    return _scorer("rougeLsum").score(*sides)["rougeLsum"].fmeasure


def sentences_on_lines(text: str) -> str:
    """A text with each sentence on its own line, as ROUGE-Lsum wants it; one that has lines keeps them."""
    text = text.strip()
    return text if "\n" in text else _SENTENCE_END.sub(r"\1\n", text)


def _f_measure(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _grams(n: int, text: str) -> Counter[Any]:
    words = _words(text)
    return Counter(words if n == 1 else zip(*(words[start:] for start in range(n)), strict=False))


_of_reference = functools.lru_cache(maxsize=1 << 14)(_grams)  # references meet every technique and seed


def _words(text: str) -> list[str]:
    """The tokens of rouge-score's `use_stemmer=True`: words of more than three letters are stemmed."""
    stem = _stem()
    return [stem(word) if len(word) > 3 else word for word in _WORD.findall(text.lower())]


@functools.cache
def _stem() -> Any:
    return functools.lru_cache(maxsize=1 << 16)(_porter().stem)  # each word once: it was most of the time


def _porter() -> Any:
    """NLTK's stemmer without the rest of NLTK, which imports SciPy and scikit-learn in two seconds and a half.

    The packages around the stemmer's module stand there bare while it is imported, and are gone afterwards.
    """
    if "nltk" in sys.modules:
        return importlib.import_module("nltk.stem.porter").PorterStemmer()
    nltk = importlib.util.find_spec("nltk")
    assert nltk is not None
    for name, inside in (("nltk", ""), ("nltk.stem", "stem")):
        bare = types.ModuleType(name)
        bare.__path__ = [str(Path(place, inside)) for place in nltk.submodule_search_locations or ()]
        sys.modules[name] = bare
    try:
        return importlib.import_module("nltk.stem.porter").PorterStemmer()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "nltk"]:
            del sys.modules[name]


@functools.cache
def _scorer(kind: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], tokenizer=_Words())


class _Words:
    """`_words` where the package wants a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return _words(text)
