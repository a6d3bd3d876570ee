"""The classical baseline: TF-IDF with a linear model for texts, a conditional random field for tags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from tunebench._util.ranges import Worth
from tunebench.families.base import Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example
from tunebench.tasks.problems import problems
from tunebench.techniques.base import Baseline, Predictor, Question


class Tfidf(Baseline):
    """Word 1- and 2-grams with TF-IDF, then logistic or ridge regression (scikit-learn); for tags a CRF (CRFsuite).

    A pair of texts becomes the cosine of its vectors, their absolute difference and their product. Any number of
    labels: one logistic regression per label, with threshold 0.5.
    """

    name = "tfidf"
    title = "TF-IDF/CRF baseline"
    paper = "Spärck Jones 1972; Lafferty et al. 2001, https://repository.upenn.edu/handle/20.500.14332/6188"
    weighs = ("class", "classes")

    c: Annotated[
        float,
        Worth(
            "our sweep on emotion",
            around=30,
            objectives=("sequence_classification", "multi_label_classification"),
        ),
    ] = Field(
        default=10.0,
        gt=0,
        description="inverse regularisation of logistic regression; emotion validation: 3: 0.854, 10: 0.870, 33: 0.880",
    )
    alpha: Annotated[float, Worth("our choice", around=30, objectives=("regression",))] = Field(
        1.0, gt=0, description="regularisation of the ridge regression; scikit-learn's default"
    )
    crf_iterations: Annotated[
        int,
        Worth("our choice: fewer iterations regularise", choices=(50, 100, 200), objectives=("token_classification",)),
    ] = Field(100, ge=1, description="L-BFGS iterations of the CRF")

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """It answers with classes, a score or tags, not with text."""
        if problems()[objective].form in ("class", "classes", "score", "tags"):
            return None
        return f"a linear model on TF-IDF has no answer of the form that {objective} asks for"

    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """The linear model or the CRF."""
        if question.task.form == "tags":
            from tunebench.techniques._crf import fit_crf

            return fit_crf(cast(Any, train), question.labels, self.crf_iterations)
        from tunebench.techniques._tfidf import fit_tfidf

        return fit_tfidf(cast(Any, train), question, self.c, self.alpha)

    def load(self, folder: Path, question: Question) -> Predictor:
        """As it was saved in a run's folder."""
        if question.task.form == "tags":
            from tunebench.techniques._crf import load_crf

            return load_crf(folder, question.labels)
        from tunebench.techniques._tfidf import load_tfidf

        return load_tfidf(folder, question.task.form, question.labels)

    def standalone(self, task: Task) -> dict[str, Any]:
        """Terms with their weights, or the CRF."""
        if task.form == "tags":
            return {"kind": "tags", "numbers": "crf.safetensors"}
        from tunebench.evaluation.words import pattern

        return {"kind": "terms", "numbers": "tfidf.safetensors", "word": pattern()}
