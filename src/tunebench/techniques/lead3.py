"""Lead-3: the first three sentences, the baseline for news summaries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench.families.base import Family
from tunebench.tasks.base import Task
from tunebench.tasks.examples import Example, PromptExample
from tunebench.tasks.problems import problems
from tunebench.techniques.base import STAY, Baseline, Predictor, Question

_FILE = "lead3.json"


class Lead3(Baseline):
    """Copies the first sentences of the source, one per line (Nallapati et al. 2017, section 4.3)."""

    name = "lead3"
    title = "Lead-3 baseline"
    paper = "Nallapati et al. 2017, SummaRuNNer, https://arxiv.org/abs/1611.04230"

    sentences: int = Field(3, ge=1, description="how many; Nallapati et al. 2017: 3")

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """It answers with a part of the source."""
        has_source = "source" in problems()[objective].roles
        return None if has_source else f"the beginning of a source does not answer {objective}"

    def fit(self, train: Sequence[Example], validation: Sequence[Example], question: Question, seed: int) -> Predictor:
        """There is nothing to fit."""
        return _Lead(self.sentences)

    def load(self, folder: Path, question: Question) -> Predictor:
        """As it was saved in a run's folder."""
        return _Lead(json.loads((folder / _FILE).read_text(encoding="utf-8"))["sentences"])

    def standalone(self, task: Task) -> dict[str, Any]:
        """There is nothing to write."""
        raise UserError(f"lead3 has learned nothing: it copies the first {self.sentences} sentences of a text. {STAY}")


class _Lead(Predictor):
    def __init__(self, sentences: int):
        self.sentences, self.parameters = sentences, 0

    def predict(self, examples: Sequence[Example]) -> tuple[list[Any], list[Any]]:
        """The first sentences of each source; there is no score."""
        from tunebench.evaluation.rouge import sentences_on_lines

        answers = [
            "\n".join(sentences_on_lines(" ".join(example.source.split())).split("\n")[: self.sentences])
            for example in examples
            if isinstance(example, PromptExample)
        ]
        return answers, [None] * len(answers)

    def save(self, folder: Path) -> list[Path]:
        """One JSON file."""
        path = folder / _FILE
        path.write_text(json.dumps({"sentences": self.sentences}), encoding="utf-8")
        return [path]
