"""One number for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunebench._util.errors import UserError
from tunebench.tasks.examples import TextExample
from tunebench.tasks.problems._texts import TextTask
from tunebench.tasks.reading import number
from tunebench.tasks.written import FROM_SOURCE, HIGHEST, STEP, score_as_text, score_of

if TYPE_CHECKING:
    import pandas as pd


class RegressionTask(TextTask):
    """A score belongs to each text, or to each pair of texts.

    Attributes:
        answer: how a score is read off a model that writes: `rank` takes the fifth from 0 to 5 that it finds likeliest,
            `generate` lets it write; an answer that is not a number counts as the score -1.

    Examples:
        {"text": "i feel happy today", "label": 4.6}
        {"text": "i feel gloomy today", "label": 0.4}
    """

    form = "score"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {"regression": (), "text_to_text": (*FROM_SOURCE, "answer")}
    default_metrics = ("pearson", "spearman")
    asks = "score: {text}\n{pair}"

    objective: str = "regression"
    answer: Literal["rank", "generate"] = "rank"

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[TextExample]:
        """Texts with scores."""
        rows = zip(frame.index, frame[self.column("label")].tolist(), strict=True)
        return self._paired(frame, [number(value, f"{place}, row {row}") for row, value in rows], place)

    def references(self, examples: Sequence[TextExample], labels: Sequence[str]) -> list[float]:
        """Scores."""
        return [float(example.label) for example in examples]  # type: ignore[arg-type]

    def in_words(self, answer: float) -> str:
        """The score rounded to fifths."""
        return score_as_text(answer)

    def ranked(self, labels: Sequence[str]) -> tuple[str, ...]:
        """All fifths of 0 to 5, STS-B's scale."""
        return tuple(f"{STEP * place:.1f}" for place in range(round(HIGHEST / STEP) + 1))

    def check_ranked(self, examples: Sequence[TextExample]) -> None:
        """Raises UserError if a score is outside that scale."""
        for example in examples:
            if not 0 <= example.label <= HIGHEST:  # type: ignore[operator]
                raise UserError(
                    f"the score {example.label} is outside the range 0 to {HIGHEST} that this model ranks in "
                    "fifths. Give the task answer: generate, or rescale its scores."
                )

    def answer_of(self, text: str, labels: Sequence[str]) -> float:
        """The generated number, or NO_NUMBER."""
        return score_of(text)

    def answered(self, text: str, answer: float, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The score."""
        return {"text": text, "score": answer}
