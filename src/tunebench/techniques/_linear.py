"""A linear model on TF-IDF vectors, saved as JSON and safetensors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from tunebench.tasks.examples import Example, TextExample
from tunebench.tasks.problems.multi_label_classification import labels_from
from tunebench.techniques.base import Predictor

_TERMS, _WEIGHTS = "terms.json", "tfidf.safetensors"
_NEVER = -1e9


class Linear(Predictor):
    """Scores = features x weights + bias.

    Args:
        weights: (outputs, features); one output for regression, else one per class.
        form: what an answer is (see `tasks.base.Task.form`).
    """

    def __init__(
        self, vectorizer: TfidfVectorizer, weights: np.ndarray, bias: np.ndarray, form: str, labels: Sequence[str]
    ):
        self._vectorizer, self._weights, self._bias = vectorizer, weights, bias
        self._form, self._labels = form, labels
        self.parameters = weights.size + bias.size

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """Class names, or lists of them, and probabilities; or scores and None."""
        scores = _features(self._vectorizer, examples) @ self._weights.T + self._bias
        if self._form == "score":
            return scores[:, 0].tolist(), [None] * len(examples)
        if self._form == "classes":
            single = expit(scores).tolist()
            return [labels_from(row, self._labels, 0.5) for row in single], single
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return [self._labels[best] for best in probabilities.argmax(axis=1)], probabilities.tolist()

    def save(self, folder: Path) -> list[Path]:
        """Terms as JSON, numbers as safetensors."""
        terms = self._vectorizer.get_feature_names_out().tolist()
        (folder / _TERMS).write_text(json.dumps(terms, ensure_ascii=False), "utf-8")
        save_file({"idf": self._vectorizer.idf_, "weights": self._weights, "bias": self._bias}, folder / _WEIGHTS)
        return [folder / _TERMS, folder / _WEIGHTS]


def fit_linear(train: Sequence[TextExample], form: str, labels: Sequence[str], c: float, alpha: float) -> Linear:
    """Logistic regression for classes, one a label where there may be several; ridge regression for scores."""
    vectorizer = _vectorizer()
    vectorizer.fit([text for row in train for text in (row.text, row.pair) if text is not None])
    features = _features(vectorizer, train)
    if form == "classes":
        return Linear(vectorizer, *_one_versus_rest(features, train, len(labels), c), form, labels)
    targets = np.array([row.label for row in train])
    if form == "score":
        ridge = Ridge(alpha=alpha).fit(features, targets)
        return Linear(vectorizer, ridge.coef_.reshape(1, -1), np.atleast_1d(ridge.intercept_), form, ())
    model = LogisticRegression(C=c, max_iter=1000).fit(features, targets)
    coef, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes; halved, two rows give the same odds
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weights = np.zeros((len(labels), features.shape[1]))
    bias = np.full(len(labels), _NEVER)  # a class that never occurs in training is never predicted
    weights[model.classes_], bias[model.classes_] = coef, intercept
    return Linear(vectorizer, weights, bias, form, labels)


def _one_versus_rest(
    features: Any, train: Sequence[TextExample], labels: int, c: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of one logistic regression a label; one that all or no texts have is always or never given."""
    weights, bias = np.zeros((labels, features.shape[1])), np.zeros(labels)
    for label in range(labels):
        targets = np.array([label in row.label for row in train])  # type: ignore[operator]
        if targets.all() or not targets.any():
            bias[label] = -_NEVER if targets.all() else _NEVER
            continue
        model = LogisticRegression(C=c, max_iter=1000).fit(features, targets)
        weights[label], bias[label] = model.coef_[0], model.intercept_[0]
    return weights, bias


def load_linear(folder: Path, form: str, labels: Sequence[str]) -> Linear:
    """What `Linear.save` wrote."""
    terms, numbers = json.loads((folder / _TERMS).read_text("utf-8")), load_file(folder / _WEIGHTS)
    vectorizer = _vectorizer(vocabulary={term: index for index, term in enumerate(terms)})
    vectorizer.idf_ = numbers["idf"]
    return Linear(vectorizer, numbers["weights"], numbers["bias"], form, labels)


def _vectorizer(**options: Any) -> TfidfVectorizer:
    # Words of one letter count too ("i", "a"): a message is short.
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", **options)


def _features(vectorizer: TfidfVectorizer, examples: Sequence[Any]) -> Any:
    first = vectorizer.transform([row.text for row in examples])
    if all(row.pair is None for row in examples):
        return first
    second = vectorizer.transform([row.pair or "" for row in examples])
    product = first.multiply(second)
    return sparse.hstack([sparse.csr_matrix(product.sum(axis=1)), abs(first - second), product], format="csr")
