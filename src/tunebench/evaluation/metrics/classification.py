"""Metrics of single labels."""

from collections.abc import Callable

import numpy as np

from tunebench.evaluation.metrics.base import Metric, Predictions, divide, ratio
from tunebench.evaluation.unreadable import NO_LABEL


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
    return divide(2 * hits, predicted + actual), predicted, actual


def _combine_weighted_f1(sums: np.ndarray) -> np.ndarray:
    f1, _, actual = _class_f1(sums)
    return (f1 * actual).sum(-1) / actual.sum(-1)


def _combine_macro_f1(sums: np.ndarray) -> np.ndarray:
    # A class absent from both sides of a resample is not a class of that resample, as scikit-learn sees it.
    f1, predicted, actual = _class_f1(sums)
    return f1.sum(-1) / ((predicted + actual) > 0).sum(-1)


ACCURACY = Metric(
    "accuracy",
    "Accuracy",
    "class",
    "fraction",
    True,
    _accuracy,
    _correct,
    ratio,
    "sklearn.metrics.accuracy_score",
    scale="fraction",
)
WEIGHTED_F1 = Metric(
    "weighted_f1",
    "Weighted F1",
    "class",
    "fraction",
    True,
    _f1("weighted"),
    _class_counts,
    _combine_weighted_f1,
    "sklearn.metrics.f1_score(average='weighted')",
    scale="fraction",
)
MACRO_F1 = Metric(
    "macro_f1",
    "Macro F1",
    "class",
    "fraction",
    True,
    _f1("macro"),
    _class_counts,
    _combine_macro_f1,
    "sklearn.metrics.f1_score(average='macro')",
    scale="fraction",
)
