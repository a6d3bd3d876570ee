"""A linear model on TF-IDF vectors, saved as JSON and safetensors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from tunebench.evaluation.words import pattern
from tunebench.tasks.examples import Example, TextExample
from tunebench.techniques._linear import Linear, fit_linear
from tunebench.techniques.base import Predictor, Question

_TERMS, _WEIGHTS = "terms.json", "tfidf.safetensors"


class TfidfPredictor(Predictor):
    """A linear model of the terms' weights."""

    def __init__(self, vectorizer: TfidfVectorizer, linear: Linear):
        self._vectorizer, self._linear = vectorizer, linear
        self.parameters = linear.parameters

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """As `Linear.answers`."""
        return self._linear.answers(_features(self._vectorizer, examples))

    def save(self, folder: Path) -> list[Path]:
        """Terms as JSON, numbers as safetensors."""
        terms = self._vectorizer.get_feature_names_out().tolist()
        (folder / _TERMS).write_text(json.dumps(terms, ensure_ascii=False), "utf-8")
        numbers = {"idf": self._vectorizer.idf_, "weights": self._linear.weights, "bias": self._linear.bias}
        save_file(numbers, folder / _WEIGHTS)
        return [folder / _TERMS, folder / _WEIGHTS]


def fit_tfidf(train: Sequence[TextExample], question: Question, c: float, alpha: float) -> TfidfPredictor:
    """Terms and weights of the training texts (see `fit_linear`)."""
    vectorizer = _vectorizer()
    vectorizer.fit([text for row in train for text in (row.text, row.pair) if text is not None])
    return TfidfPredictor(vectorizer, fit_linear(_features(vectorizer, train), train, question, c, alpha))


def load_tfidf(folder: Path, form: str, labels: Sequence[str]) -> TfidfPredictor:
    """What `TfidfPredictor.save` wrote."""
    terms, numbers = json.loads((folder / _TERMS).read_text("utf-8")), load_file(folder / _WEIGHTS)
    vectorizer = _vectorizer(vocabulary={term: index for index, term in enumerate(terms)})
    vectorizer.idf_ = numbers["idf"]
    return TfidfPredictor(vectorizer, Linear(numbers["weights"], numbers["bias"], form, labels))


def _vectorizer(**options: Any) -> TfidfVectorizer:
    # Words of one letter count too ("i", "a"): a message is short.
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=pattern(), **options)


def _features(vectorizer: TfidfVectorizer, examples: Sequence[Any]) -> Any:
    first = vectorizer.transform([row.text for row in examples])
    if all(row.pair is None for row in examples):
        return first
    second = vectorizer.transform([row.pair or "" for row in examples])
    product = first.multiply(second)
    return sparse.hstack([sparse.csr_matrix(product.sum(axis=1)), abs(first - second), product], format="csr")
