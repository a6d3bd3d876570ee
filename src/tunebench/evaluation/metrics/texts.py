"""Metrics of written texts."""

import functools
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from tunebench._util.words import plural
from tunebench.evaluation.metrics.base import Metric, Predictions, ratio
from tunebench.evaluation.rouge import is_reference_tokeniser, rouge_l, rouge_lsum, rouge_n, tokens_for
from tunebench.evaluation.words import undivided, words

_OFTEN = 0.1  # of the references


def exact_match(prediction: str, reference: str) -> float:
    """1 where both are the same after SQuAD's normalisation."""
    return float(_normalised(prediction) == _normalised(reference))


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of precision and recall over words, each as often as it stands, after SQuAD's normalisation."""
    ours, theirs = _words_of(prediction), _words_of(reference)
    same = sum(min(times, theirs[word]) for word, times in ours.items())
    return 2 * same / (ours.total() + theirs.total()) if same else 0.0


@functools.lru_cache(maxsize=1 << 15)
def _words_of(text: str) -> Counter[str]:
    return Counter(_normalised(text).split())


@functools.lru_cache(maxsize=1 << 15)  # texts: every technique and seed is held against the same references
def _normalised(text: str) -> str:
    """Lower case, without punctuation and articles, single blanks: the official evaluation script of SQuAD 1.1."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _best(closeness: Callable[[str, str], float]) -> Callable[[Predictions, Predictions], np.ndarray]:
    """Statistics of a mean over examples; a reference is one text, or several of which the closest counts."""

    def statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
        rows = [
            (max(closeness(prediction, text) for text in _texts(given)), 1)
            for prediction, given in zip(predictions, references, strict=True)
        ]
        return np.array(rows, dtype=float)

    return statistics


def _texts(reference: str | Sequence[str]) -> Sequence[str]:
    return [reference] if isinstance(reference, str) else reference


def _on_rouge(references: Predictions) -> str | None:
    """Where words are not rouge-score's, where rouge-score ignores letters, and where there are no words."""
    texts = [text for reference in references for text in _texts(reference)]
    other = sum(not is_reference_tokeniser(text) for text in texts)
    cut = sum(is_reference_tokeniser(text) and any(not word.isascii() for word in words(text)) for text in texts)
    empty = sum(not tokens_for(text)(text) for text in texts)
    of = f"of {plural(len(texts), 'reference')}"
    sentences = {
        f"ROUGE counts the words of {other} {of} by Unicode: they are mostly in letters other than a to z, which "
        "rouge-score ignores. In scripts without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese) every letter is "
        "a word.": other > 0,
        f"ROUGE of {cut} {of} ignores their letters other than a to z, as rouge-score does.": cut > _OFTEN * len(texts),
        f"ROUGE of {empty} {of} is 0, because they have no word.": empty > 0,
    }
    return " ".join(sentence for sentence, true in sentences.items() if true) or None


def _on_squad(references: Predictions) -> str | None:
    """Whether there are scripts that SQuAD's script was not made for."""
    texts = [text for reference in references for text in _texts(reference)]
    count = sum(map(undivided, texts))
    if not count:
        return None
    return (
        f"Token F1: {count} of {plural(len(texts), 'reference')} are in a script without blanks between words. SQuAD's "
        "script counts what stands between two blanks as one word, so nearly right answers score 0."
    )


def _text_metric(
    name: str,
    title: str,
    closeness: Callable[[str, str], float],
    source: str,
    remark: Callable[[Predictions], str | None] = lambda references: None,
) -> Metric:
    statistics = _best(closeness)

    def compute(predictions: Predictions, references: Predictions) -> float:
        return float(statistics(predictions, references)[:, 0].mean())

    return Metric(name, title, "text", "fraction", True, compute, statistics, ratio, source, remark, "fraction")


_ROUGE = "rouge-score 0.1 (Lin 2004), F-measure with stemming; words of other scripts by Unicode"
_SQUAD = "SQuAD 1.1's evaluation script (Rajpurkar et al. 2016), the maximum over all references"

ROUGE_1 = _text_metric("rouge_1", "ROUGE-1", functools.partial(rouge_n, 1), _ROUGE, _on_rouge)
ROUGE_2 = _text_metric("rouge_2", "ROUGE-2", functools.partial(rouge_n, 2), _ROUGE, _on_rouge)
ROUGE_L = _text_metric("rouge_l", "ROUGE-L", rouge_l, f"{_ROUGE}, over the whole text", _on_rouge)
ROUGE_LSUM = _text_metric("rouge_lsum", "ROUGE-Lsum", rouge_lsum, f"{_ROUGE}, sentence by sentence", _on_rouge)
TOKEN_F1 = _text_metric("token_f1", "Token F1", token_f1, _SQUAD, _on_squad)
EXACT_MATCH = _text_metric("exact_match", "Exact match", exact_match, _SQUAD)
