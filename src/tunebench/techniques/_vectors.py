"""A linear model of a pretrained model's vectors, saved as safetensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import load_file, save_file

from tunebench.tasks.examples import Example, TextExample
from tunebench.techniques._linear import Linear
from tunebench.techniques.base import Predictor, PretrainedModel, Question

_FILE = "linear.safetensors"
Features = Literal["cosine", "symmetric", "all"]
"""Of a pair: the cosine; with |u - v| and u * v; with u and v as well. A single text is its vector."""


class VectorPredictor(Predictor):
    """Answers from the vectors of the texts."""

    def __init__(self, model: PretrainedModel, features: Features, linear: Linear, summary: dict[str, Any]):
        self._model, self._linear, self._summary = model, linear, summary
        self._features: Features = features
        self.parameters = linear.parameters

    @property
    def summary(self) -> dict[str, Any]:
        """How strong the regularisation is, where it was chosen."""
        return self._summary

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """As `Linear.answers`."""
        return self._linear.answers(features_of(self._model, examples, self._features))

    def save(self, folder: Path) -> list[Path]:
        """One file of numbers."""
        save_file({"weights": self._linear.weights, "bias": self._linear.bias}, folder / _FILE)
        return [folder / _FILE]


def load_predictor(folder: Path, question: Question, features: Features) -> VectorPredictor:
    """What `VectorPredictor.save` wrote."""
    numbers = load_file(folder / _FILE)
    linear = Linear(numbers["weights"], numbers["bias"], question.task.form, question.labels)
    return VectorPredictor(asked(question), features, linear, {})


def asked(question: Question) -> PretrainedModel:
    """The model that the question comes with."""
    assert question.model is not None, "a baseline that reads a model is given one"
    return question.model


def features_of(model: PretrainedModel, examples: Sequence[Any], features: Features) -> np.ndarray:
    """(examples, features), float64."""
    rows: Sequence[TextExample] = examples
    texts = [row.text for row in rows]
    if all(row.pair is None for row in rows):
        return model.vectors(texts).astype(np.float64)
    both = model.vectors([*texts, *(row.pair or "" for row in rows)]).astype(np.float64)
    u, v = both[: len(rows)], both[len(rows) :]
    product = u * v
    columns = {
        "cosine": [product.sum(1, keepdims=True)],
        "symmetric": [product.sum(1, keepdims=True), abs(u - v), product],
        "all": [product.sum(1, keepdims=True), abs(u - v), product, u, v],
    }
    return np.hstack(columns[features])
