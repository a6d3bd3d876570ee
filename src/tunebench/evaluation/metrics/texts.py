"""Metrics of written texts."""

import functools
import re
import string
from collections import Counter
from collections.abc import Callable

import numpy as np

from tunebench.evaluation.metrics.base import Metric, Predictions, ratio
from tunebench.evaluation.rouge import rouge_l, rouge_lsum, rouge_n


def exact_match(prediction: str, reference: str) -> float:
    """1 where both are the same after SQuAD's normalisation."""
    return float(_normalised(prediction) == _normalised(reference))


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of precision and recall over words, each as often as it stands, after SQuAD's normalisation."""
    ours, theirs = _normalised(prediction).split(), _normalised(reference).split()
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


@functools.lru_cache(maxsize=1 << 15)  # texts: every technique and seed is held against the same references
def _normalised(text: str) -> str:
    """Lower case, without punctuation and articles, single blanks: the official evaluation script of SQuAD 1.1."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _best(closeness: Callable[[str, str], float]) -> Callable[[Predictions, Predictions], np.ndarray]:
    """Statistics of a mean over examples; a reference is one text, or several of which the closest counts."""

    def statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
        rows = [
            (max(closeness(prediction, text) for text in ([given] if isinstance(given, str) else given)), 1)
            for prediction, given in zip(predictions, references, strict=True)
        ]
        return np.array(rows, dtype=float)

    return statistics


def _text_metric(name: str, title: str, closeness: Callable[[str, str], float], source: str) -> Metric:
    statistics = _best(closeness)

    def compute(predictions: Predictions, references: Predictions) -> float:
        return float(statistics(predictions, references)[:, 0].mean())

    return Metric(name, title, "text", "fraction", True, compute, statistics, ratio, source)


_ROUGE = "rouge-score 0.1 (Lin 2004), F-measure with stemming"
_SQUAD = "SQuAD 1.1's evaluation script (Rajpurkar et al. 2016), the maximum over all references"

ROUGE_1 = _text_metric("rouge_1", "ROUGE-1", functools.partial(rouge_n, 1), _ROUGE)
ROUGE_2 = _text_metric("rouge_2", "ROUGE-2", functools.partial(rouge_n, 2), _ROUGE)
ROUGE_L = _text_metric("rouge_l", "ROUGE-L", rouge_l, f"{_ROUGE}, over the whole text")
ROUGE_LSUM = _text_metric("rouge_lsum", "ROUGE-Lsum", rouge_lsum, f"{_ROUGE}, sentence by sentence")
TOKEN_F1 = _text_metric("token_f1", "Token F1", token_f1, _SQUAD)
EXACT_MATCH = _text_metric("exact_match", "Exact match", exact_match, _SQUAD)
