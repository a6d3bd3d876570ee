"""Metrics: each computed by its reference library, and from additive statistics an example.

Most metrics are a function of sums over examples (counts of a confusion matrix, moments), which is what a bootstrap of
10,000 resamples needs. Tests hold both ways equal.
"""

import functools
import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunebench.evaluation.entities import entities
from tunebench.evaluation.rouge import rouge_l, rouge_lsum, rouge_n
from tunebench.evaluation.unreadable import NO_LABEL

Predictions = Sequence[Any]


@dataclass(frozen=True)
class Metric:
    """One figure of quality.

    Attributes:
        name: its name in records.
        title: its name in tables.
        unit: what one unit is.
        higher_is_better: the direction.
        compute: (predictions, references) -> value, by the reference library. NaN where it is undefined.
        statistics: (predictions, references) -> (examples, k) additive statistics, or None if there are none.
        combine: sums of shape (resamples, k) -> values of shape (resamples,).
        source: the definition.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    compute: Callable[[Predictions, Predictions], float]
    statistics: Callable[[Predictions, Predictions], np.ndarray] | None
    combine: Callable[[np.ndarray], np.ndarray]
    source: str


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Division by counts where 0/0 is 0, as scikit-learn and seqeval count an empty class."""
    return numerator / np.maximum(denominator, 1)


# Classification ------------------------------------------------------------------------------------------------------


def _accuracy(predictions: Predictions, references: Predictions) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(references, predictions))


def _f1(average: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        from sklearn.metrics import f1_score

        classes = [label for label in np.union1d(predictions, references) if label != NO_LABEL]
        return float(f1_score(references, predictions, labels=classes, average=average, zero_division=0))  # pyright: ignore[reportArgumentType]

    return compute


def _correct(predictions: Predictions, references: Predictions) -> np.ndarray:
    correct = np.asarray(predictions) == np.asarray(references)
    return np.column_stack([correct, np.ones(len(correct))])


def _class_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    """(examples, 3 x classes): true positives, predicted and actual members of each class."""
    predicted, actual = np.asarray(predictions), np.asarray(references)
    classes = np.union1d(predicted, actual)
    classes = classes[classes != NO_LABEL]
    is_predicted = predicted[:, None] == classes
    is_actual = actual[:, None] == classes
    return np.hstack([is_predicted & is_actual, is_predicted, is_actual])


def _class_f1(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hits, predicted, actual = np.split(sums, 3, axis=-1)
    return _divide(2 * hits, predicted + actual), predicted, actual


def _combine_weighted_f1(sums: np.ndarray) -> np.ndarray:
    f1, _, actual = _class_f1(sums)
    return (f1 * actual).sum(-1) / actual.sum(-1)


def _combine_macro_f1(sums: np.ndarray) -> np.ndarray:
    # A class absent from both sides of a resample is not a class of that resample, as scikit-learn sees it.
    f1, predicted, actual = _class_f1(sums)
    return f1.sum(-1) / ((predicted + actual) > 0).sum(-1)


# Tagging -------------------------------------------------------------------------------------------------------------


def _tag_accuracy(predictions: Predictions, references: Predictions) -> float:
    from seqeval.metrics import accuracy_score

    return float(accuracy_score(references, predictions))


def _entity_score(score: Callable[[float, float], float]) -> Callable[[Predictions, Predictions], float]:
    """A function of precision and recall; each sentence's entities are found once for all metrics."""

    def compute(predictions: Predictions, references: Predictions) -> float:
        found, predicted, actual = _entity_counts(predictions, references).sum(0).tolist()
        return score(found / (predicted or 1), found / (actual or 1))

    return compute


def _entity_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    """(sentences, 3): entities that were found, that were predicted, and that are there."""
    pairs = zip(map(tuple, predictions), map(tuple, references), strict=True)
    return np.array([_entities_in_common(*pair) for pair in pairs])


@functools.lru_cache(maxsize=1 << 16)  # sentences with their tags: most seeds of most techniques tag them alike
def _entities_in_common(predicted_tags: tuple[str, ...], actual_tags: tuple[str, ...]) -> tuple[int, int, int]:
    predicted, actual = entities(predicted_tags), entities(actual_tags)
    return len(predicted & actual), len(predicted), len(actual)


def _tag_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    return np.array(
        [
            (sum(p == r for p, r in zip(predicted, actual, strict=True)), len(actual))
            for predicted, actual in zip(predictions, references, strict=True)
        ]
    )


# Regression ----------------------------------------------------------------------------------------------------------


def _correlation(name: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        import scipy.stats

        with warnings.catch_warnings():  # a constant input gives NaN, and NaN it stays
            warnings.simplefilter("ignore")
            return float(getattr(scipy.stats, name)(predictions, references).statistic)

    return compute


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _pearson_statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
    x, y = np.asarray(predictions, float), np.asarray(references, float)
    return _moments(x - x.mean(), y - y.mean())  # centred: sums of squares lose no digits


def _combine_pearson(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    variances = (n * xx - x * x) * (n * yy - y * y)
    return np.divide(
        n * xy - x * y, np.sqrt(np.maximum(variances, 0)), out=np.full(n.shape, np.nan), where=variances > 0
    )


# Language modelling ---------------------------------------------------------------------------------------------------


def _likelihoods(nll: str, tokens: str) -> Callable[[Predictions, Predictions], np.ndarray]:
    def statistics(predictions: Predictions, references: Predictions) -> np.ndarray:
        return np.array([(row[nll], row[tokens]) for row in predictions], dtype=float)

    return statistics


def _perplexity(nll: str, tokens: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        return float(_combine_perplexity(_likelihoods(nll, tokens)(predictions, references).sum(0)))

    return compute


def _combine_perplexity(sums: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # infinity says it
        return np.exp(sums[..., 0] / sums[..., 1])


# Texts ---------------------------------------------------------------------------------------------------------------


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

    return Metric(name, title, "fraction", True, compute, statistics, _ratio, source)


def _ratio(sums: np.ndarray) -> np.ndarray:
    return _divide(sums[..., 0], sums[..., 1])


_SEQEVAL = "seqeval 1.2 (Nakayama 2018), entity level, as the conlleval script (Tjong Kim Sang and De Meulder 2003)"

_ROUGE = "rouge-score 0.1 (Lin 2004), F-measure with stemming"
_SQUAD = "SQuAD 1.1's evaluation script (Rajpurkar et al. 2016), the maximum over all references"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "Accuracy", "fraction", True, _accuracy, _correct, _ratio, "sklearn.metrics.accuracy_score"),
        Metric(
            "weighted_f1", "Weighted F1", "fraction", True, _f1("weighted"), _class_counts, _combine_weighted_f1,
            "sklearn.metrics.f1_score(average='weighted')",
        ),
        Metric(
            "macro_f1", "Macro F1", "fraction", True, _f1("macro"), _class_counts, _combine_macro_f1,
            "sklearn.metrics.f1_score(average='macro')",
        ),
        Metric(
            "entity_f1", "Entity F1", "fraction", True, _entity_score(lambda p, r: 2 * p * r / (p + r or 1)),
            _entity_counts, lambda sums: _divide(2 * sums[..., 0], sums[..., 1] + sums[..., 2]), _SEQEVAL,
        ),
        Metric(
            "entity_precision", "Entity precision", "fraction", True, _entity_score(lambda p, r: p), _entity_counts,
            _ratio, _SEQEVAL,
        ),
        Metric(
            "entity_recall", "Entity recall", "fraction", True, _entity_score(lambda p, r: r), _entity_counts,
            lambda sums: _divide(sums[..., 0], sums[..., 2]), _SEQEVAL,
        ),
        Metric(
            "tag_accuracy", "Tag accuracy", "fraction", True, _tag_accuracy, _tag_counts, _ratio,
            "seqeval.metrics.accuracy_score",
        ),
        Metric(
            "pearson", "Pearson", "correlation", True, _correlation("pearsonr"), _pearson_statistics,
            _combine_pearson, "scipy.stats.pearsonr",
        ),
        Metric(
            "spearman", "Spearman", "correlation", True, _correlation("spearmanr"), None, _combine_pearson,
            "scipy.stats.spearmanr",
        ),
        Metric(
            "perplexity", "Perplexity", "per token of the responses", False,
            _perplexity("response_nll", "response_tokens"), _likelihoods("response_nll", "response_tokens"),
            _combine_perplexity, "exp of the summed negative log-likelihood over the tokens counted, end-of-text "
            "included (Jelinek et al. 1977)",
        ),
        Metric(
            "perplexity_all", "Perplexity, prompt included", "per token", False, _perplexity("nll", "tokens"),
            _likelihoods("nll", "tokens"), _combine_perplexity, "the same over all real tokens but each text's first",
        ),
        _text_metric("rouge_1", "ROUGE-1", functools.partial(rouge_n, 1), _ROUGE),
        _text_metric("rouge_2", "ROUGE-2", functools.partial(rouge_n, 2), _ROUGE),
        _text_metric("rouge_l", "ROUGE-L", rouge_l, f"{_ROUGE}, over the whole text"),
        _text_metric("rouge_lsum", "ROUGE-Lsum", rouge_lsum, f"{_ROUGE}, sentence by sentence"),
        _text_metric("token_f1", "Token F1", token_f1, _SQUAD),
        _text_metric("exact_match", "Exact match", exact_match, _SQUAD),
    )
}  # fmt: skip
