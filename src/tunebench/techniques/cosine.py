"""How similar a pretrained model says that two texts are, without tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tunebench.families.base import Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.problems import problems
from tunebench.techniques.base import Baseline, Predictor, Question

_C, _ALPHA = 1e4, 1e-6  # one or two numbers need no regularisation, but logistic regression of separable classes does


class Cosine(Baseline):
    """The cosine of the two texts' vectors, brought to the answers by a linear or logistic regression on train.

    The vectors are those of `embedding`. The regression has one slope and one intercept per output, so that it changes
    the scale of the cosine and not the order of the pairs.
    """

    name = "cosine"
    title = "Cosine of embeddings"
    paper = "Reimers and Gurevych 2019, Sentence-BERT, https://arxiv.org/abs/1908.10084"
    reads_model = reads_weights = True
    weighs = ("class", "classes")

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """It answers with a class or a score."""
        if problems()[objective].form in ("class", "score"):
            return None
        return f"one number per pair has no answer of the form that {objective} asks for"

    def not_answerable(self, task: Task) -> str | None:
        """It compares two texts."""
        return None if task.column("pair") else f"{task.name} has one text per example, and a cosine compares two"

    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """Slope and intercept of each output."""
        from tunebench.techniques._linear import fit_linear
        from tunebench.techniques._vectors import VectorPredictor, asked, features_of

        model = asked(question)
        features = features_of(model, train, "cosine")
        linear = fit_linear(features, cast(Any, train), question, _C, _ALPHA)
        return VectorPredictor(model, "cosine", linear, {})

    def load(self, folder: Path, question: Question) -> Predictor:
        """As it was saved in a run's folder."""
        from tunebench.techniques._vectors import load_predictor

        return load_predictor(folder, question, "cosine")

    def standalone(self, task: Task) -> dict[str, Any]:
        """The scale, and the pretrained model."""
        return {"kind": "vectors", "numbers": "linear.safetensors", "features": "cosine"}
