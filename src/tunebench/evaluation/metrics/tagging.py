"""Metrics of tagged sentences."""

import functools
from collections.abc import Callable

import numpy as np

from tunebench.evaluation.entities import entities
from tunebench.evaluation.metrics.base import Metric, Predictions, divide, ratio


def _entity_score(score: Callable[[float, float], float]) -> Callable[[Predictions, Predictions], float]:
    """A function of precision and recall; each sentence's entities are computed once for all metrics."""

    def compute(predictions: Predictions, references: Predictions) -> float:
        correct, predicted, actual = _entity_counts(predictions, references).sum(0).tolist()
        return score(correct / (predicted or 1), correct / (actual or 1))

    return compute


def _entity_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    """(sentences, 3): numbers of correct, predicted and true entities."""
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


def _tag_accuracy(predictions: Predictions, references: Predictions) -> float:
    return float(ratio(_tag_counts(predictions, references).sum(0)))


_SEQEVAL = "seqeval 1.2 (Nakayama 2018), entity level, as the conlleval script (Tjong Kim Sang and De Meulder 2003)"


def _entity_metric(
    name: str, title: str, score: Callable[[float, float], float], combine: Callable[[np.ndarray], np.ndarray]
) -> Metric:
    return Metric(
        name, title, "tags", "fraction", True, _entity_score(score), _entity_counts, combine, _SEQEVAL, scale="fraction"
    )


ENTITY_F1 = _entity_metric(
    "entity_f1",
    "Entity F1",
    lambda precision, recall: 2 * precision * recall / (precision + recall or 1),
    lambda sums: divide(2 * sums[..., 0], sums[..., 1] + sums[..., 2]),
)
ENTITY_PRECISION = _entity_metric("entity_precision", "Entity precision", lambda precision, recall: precision, ratio)
ENTITY_RECALL = _entity_metric(
    "entity_recall",
    "Entity recall",
    lambda precision, recall: recall,
    lambda sums: divide(sums[..., 0], sums[..., 2]),
)
TAG_ACCURACY = Metric(
    "tag_accuracy",
    "Tag accuracy",
    "tags",
    "fraction",
    True,
    _tag_accuracy,
    _tag_counts,
    ratio,
    "seqeval.metrics.accuracy_score",
    scale="fraction",
)
