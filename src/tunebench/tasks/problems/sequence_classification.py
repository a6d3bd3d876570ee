"""One class for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tunebench._util.errors import UserError
from tunebench.evaluation.unreadable import NO_LABEL
from tunebench.tasks.examples import TextExample
from tunebench.tasks.problems._texts import TextTask
from tunebench.tasks.reading import labels_of, lookup
from tunebench.tasks.weighing import WeighingTask
from tunebench.tasks.written import FROM_SOURCE, label_of, verbal

if TYPE_CHECKING:
    import pandas as pd


class SequenceClassificationTask(WeighingTask, TextTask):
    """Exactly one label from a list belongs to each text, or to each pair of texts.

    Attributes:
        verbalizer: label -> the word that a model writes for it, where that is not the label's name.
        answer: how a class is read off a model that writes: `rank` takes the label that it finds likeliest, `generate`
            lets it write; an answer that is not a label is counted as wrong.

    Examples:
        {"text": "i feel happy today", "label": "joy"}
        {"text": "i feel gloomy today", "label": "sadness"}
    """

    form = "class"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "sequence_classification": WeighingTask.weighing,
        "text_to_text": (*FROM_SOURCE, "verbalizer", "answer"),
    }
    default_metrics = ("macro_f1", "accuracy", "weighted_f1")
    asks = "classify: {text}\n{pair}"

    objective: str = "sequence_classification"
    verbalizer: dict[str, str] = Field(default={})
    answer: Literal["rank", "generate"] = "rank"

    @model_validator(mode="after")
    def _words_for_labels(self) -> Self:
        if self.labels:
            verbal(self.labels, self.verbalizer)
        return self

    def labels_of(self, frame: pd.DataFrame, place: str) -> list[Sequence[str]]:
        """One label."""
        return [*labels_of(frame, self.columns_of("label")[0], place)]

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[TextExample]:
        """Texts with class indices."""
        rows = zip(frame.index, self.labels_of(frame, place), strict=True)
        return self._paired(frame, [lookup(classes, label, f"{place}, row {row}") for row, (label,) in rows], place)

    def classes_of(self, example: TextExample) -> tuple[int, ...]:
        """The one class."""
        return (int(example.label),)  # type: ignore[arg-type]

    def references(self, examples: Sequence[TextExample], labels: Sequence[str]) -> list[str]:
        """Class names."""
        return [labels[int(example.label)] for example in examples]  # type: ignore[arg-type]

    def in_words(self, answer: str) -> str:
        """The word that stands for the label."""
        return self.verbalizer.get(answer, answer)

    def ranked(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The words that stand for the labels."""
        try:
            return verbal(labels, self.verbalizer)
        except ValueError as error:
            raise UserError(str(error)) from None

    def answer_of(self, text: str, labels: Sequence[str]) -> str:
        """The label whose word was written, or NO_LABEL."""
        words = self.ranked(labels)
        return {**dict(zip(words, labels, strict=True)), NO_LABEL: NO_LABEL}[label_of(text, words)]

    def answered(self, text: str, answer: str, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The label, and every label's probability."""
        scores = dict(zip(labels, details, strict=True)) if isinstance(details, list) else details
        return {"text": text, "label": answer, "scores": scores}
