"""Metrics of sets of labels."""

from collections.abc import Callable

import numpy as np

from tunebench.evaluation.metrics.base import Metric, Predictions, divide, ratio


def _label_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    """(examples, 3 x labels): true positives, predicted and actual members of each label that occurs."""
    labels = sorted({label for side in (predictions, references) for row in side for label in row})
    predicted, actual = (
        np.array([[label in row for label in labels] for row in side], dtype=bool).reshape(len(side), len(labels))
        for side in (predictions, references)
    )
    return np.hstack([predicted & actual, predicted, actual])


def _f1(average: str) -> Callable[[Predictions, Predictions], float]:
    def compute(predictions: Predictions, references: Predictions) -> float:
        from sklearn.metrics import f1_score

        _, predicted, actual = np.split(_label_counts(predictions, references), 3, axis=1)
        labels = list(range(predicted.shape[1]))
        if not labels:
            return 0.0
        spare = np.zeros((len(predicted), 1), dtype=bool)  # scikit-learn takes one column for a class of its own
        sides = [np.hstack([side, spare]).astype(int) for side in (actual, predicted)]
        return float(f1_score(*sides, labels=labels, average=average, zero_division=0))  # pyright: ignore[reportArgumentType]

    return compute


def _all_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    """(examples, 3): labels that are right, that were predicted, and that are there."""
    rows = [
        (len({*predicted} & {*actual}), len({*predicted}), len({*actual}))
        for predicted, actual in zip(predictions, references, strict=True)
    ]
    return np.array(rows, dtype=float)


def _combine_micro_f1(sums: np.ndarray) -> np.ndarray:
    return divide(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _combine_macro_f1(sums: np.ndarray) -> np.ndarray:
    # A label absent from both sides of a resample is no label of that resample, as for single labels.
    hits, predicted, actual = np.split(sums, 3, axis=-1)
    return divide(divide(2 * hits, predicted + actual).sum(-1), ((predicted + actual) > 0).sum(-1))


def _subset_counts(predictions: Predictions, references: Predictions) -> np.ndarray:
    correct = [{*predicted} == {*actual} for predicted, actual in zip(predictions, references, strict=True)]
    return np.column_stack([np.array(correct, dtype=float), np.ones(len(correct))])


def _subset_accuracy(predictions: Predictions, references: Predictions) -> float:
    return float(ratio(_subset_counts(predictions, references).sum(0)))


MICRO_F1 = Metric(
    "micro_f1",
    "Micro F1",
    "classes",
    "fraction",
    True,
    _f1("micro"),
    _all_counts,
    _combine_micro_f1,
    "sklearn.metrics.f1_score(average='micro', zero_division=0)",
    scale="fraction",
)
LABEL_MACRO_F1 = Metric(
    "label_macro_f1",
    "Label macro F1",
    "classes",
    "fraction",
    True,
    _f1("macro"),
    _label_counts,
    _combine_macro_f1,
    "sklearn.metrics.f1_score(average='macro', zero_division=0), over the labels that occur",
    scale="fraction",
)
SUBSET_ACCURACY = Metric(
    "subset_accuracy",
    "Subset accuracy",
    "classes",
    "fraction",
    True,
    _subset_accuracy,
    _subset_counts,
    ratio,
    "sklearn.metrics.accuracy_score of label sets",
    scale="fraction",
)
