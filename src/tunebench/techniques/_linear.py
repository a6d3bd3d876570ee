"""Linear models of features: logistic regression for classes and labels, ridge regression for scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from tunebench.tasks.examples import TextExample
from tunebench.tasks.problems.multi_label_classification import labels_from
from tunebench.tasks.weighing import WeighingTask
from tunebench.techniques.base import Question

_NEVER = -1e9


@dataclass(frozen=True)
class Linear:
    """Scores = features x weights + bias.

    Attributes:
        weights: (outputs, features); one output for regression, else one per class.
        bias: (outputs,).
        form: what an answer is (see `tasks.base.Task.form`).
        labels: names of the outputs; not read for scores.
    """

    weights: np.ndarray
    bias: np.ndarray
    form: str
    labels: Sequence[str]

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""
        return self.weights.size + self.bias.size

    def answers(self, features: Any) -> tuple[list[Any], list[Any]]:
        """Class names, or lists of them, and probabilities; or scores and None."""
        scores = features @ self.weights.T + self.bias
        if self.form == "score":
            return scores[:, 0].tolist(), [None] * len(scores)
        if self.form == "classes":
            single = expit(scores).tolist()
            return [labels_from(row, self.labels, 0.5) for row in single], single
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return [self.labels[best] for best in probabilities.argmax(axis=1)], probabilities.tolist()


def fit_linear(features: Any, train: Sequence[TextExample], question: Question, c: float, alpha: float) -> Linear:
    """Logistic regression for classes, one a label where there may be several; ridge regression for scores.

    Classes count in the loss what the task says.

    Args:
        features: (texts, features), dense or sparse.
        train: the texts' examples, whose labels are learned.
        question: whose answers are a class, classes or a score.
        c: inverse regularisation of logistic regression.
        alpha: regularisation of ridge regression.
    """
    task, form, labels = question.task, question.task.form, question.labels
    counts = task.weights(train, labels) if isinstance(task, WeighingTask) else None
    if form == "classes":
        several = [None if counts is None else {False: 1.0, True: counts[label]} for label in range(len(labels))]
        return Linear(*_one_versus_rest(features, train, several, c), form, labels)
    targets = np.array([row.label for row in train])
    if form == "score":
        ridge = Ridge(alpha=alpha).fit(features, targets)
        return Linear(ridge.coef_.reshape(1, -1), np.atleast_1d(ridge.intercept_), form, ())
    weights = np.zeros((len(labels), features.shape[1]))
    bias = np.full(len(labels), _NEVER)  # a class that never occurs in training is never predicted
    each = None if counts is None else dict(enumerate(counts))
    model = LogisticRegression(C=c, max_iter=1000, class_weight=each).fit(features, targets)
    coef, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes; halved, two rows give the same odds
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weights[model.classes_], bias[model.classes_] = coef, intercept
    return Linear(weights, bias, form, labels)


def _one_versus_rest(
    features: Any, train: Sequence[TextExample], counts: Sequence[dict[bool, float] | None], c: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of one logistic regression a label; one that all or no texts have is always or never given."""
    weights, bias = np.zeros((len(counts), features.shape[1])), np.zeros(len(counts))
    for label, count in enumerate(counts):
        targets = np.array([label in row.label for row in train])  # type: ignore[operator]
        if targets.all() or not targets.any():
            bias[label] = -_NEVER if targets.all() else _NEVER
            continue
        model = LogisticRegression(C=c, max_iter=1000, class_weight=count).fit(features, targets)
        weights[label], bias[label] = model.coef_[0], model.intercept_[0]
    return weights, bias
