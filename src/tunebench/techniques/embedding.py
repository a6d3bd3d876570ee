"""What a pretrained model's vectors already say: a linear model on them, without tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import Field

from tunebench.evaluation.metrics import METRICS
from tunebench.families.base import Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.problems import problems
from tunebench.techniques.base import Baseline, Predictor, Question

if TYPE_CHECKING:
    import numpy as np

    from tunebench.techniques._linear import Linear


class Embedding(Baseline):
    """The model's vector of each text, of length 1, then logistic or ridge regression (scikit-learn).

    The vector is what the checkpoint's sentence-transformers files say, else the mean over tokens. A pair of texts
    becomes the cosine of its vectors, their absolute difference and their product. Several labels are one logistic
    regression per label, at the threshold 0.5. The validation split chooses the regularisation by the main metric.
    """

    name = "embedding"
    title = "Linear model on embeddings"
    paper = "Conneau et al. 2017, https://aclanthology.org/D17-1070 (transfer of sentence embeddings)"
    reads_model = reads_weights = True
    weighs = ("class", "classes")

    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.1, 1.0, 10.0, 100.0, 1000.0),
        min_length=1,
        description="inverse regularisations that the validation split chooses from; ridge regression has 1 / c",
    )
    pair: Literal["symmetric", "all"] = Field(
        "symmetric",
        description="symmetric: cosine, |u - v| and u * v; all: u and v as well, where the two texts differ in kind",
    )

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """It answers with classes or a score, not with tags or text."""
        if problems()[objective].form in ("class", "classes", "score"):
            return None
        return f"one vector per text has no answer of the form that {objective} asks for"

    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """The linear model that is best on the validation split; of equal ones the most regularised."""
        from tunebench.techniques._linear import fit_linear
        from tunebench.techniques._vectors import VectorPredictor, asked, features_of

        model = asked(question)
        features, compared = (features_of(model, split, self.pair) for split in (train, validation))
        fitted = {c: fit_linear(features, cast(Any, train), question, c, 1 / c) for c in sorted(self.c)}
        chosen = max(fitted, key=lambda c: _merit(fitted[c], compared, validation, question))
        return VectorPredictor(model, self.pair, fitted[chosen], {"c": chosen})

    def load(self, folder: Path, question: Question) -> Predictor:
        """As it was saved in a run's folder."""
        from tunebench.techniques._vectors import load_predictor

        return load_predictor(folder, question, self.pair)

    def standalone(self, task: Task) -> dict[str, Any]:
        """The linear model, and the pretrained one."""
        return {"kind": "vectors", "numbers": "linear.safetensors", "features": self.pair}


def _merit(linear: Linear, features: np.ndarray, examples: Sequence[Example], question: Question) -> float:
    """The main metric, higher where better; an undefined one is the worst."""
    metric = METRICS[question.task.metrics[0]]
    answers, _ = linear.answers(features)
    value = metric.compute(answers, question.task.references(examples, question.labels))
    return (value if metric.higher_is_better else -value) if math.isfinite(value) else -math.inf
