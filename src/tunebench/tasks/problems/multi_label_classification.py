"""Any number of labels for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from tunebench._util.errors import UserError
from tunebench.evaluation.unreadable import NO_LABEL
from tunebench.tasks.base import Converted, Split
from tunebench.tasks.examples import TextExample
from tunebench.tasks.problems._texts import TextTask
from tunebench.tasks.reading import as_list, lookup
from tunebench.tasks.weighing import WeighingTask
from tunebench.tasks.written import FROM_SOURCE, label_of

if TYPE_CHECKING:
    import pandas as pd

NONE = "none"
"""What stands for no label where answers are written."""


class MultiLabelClassificationTask(WeighingTask, TextTask):
    """Any number of labels from a list belongs to each text, or to each pair of texts; none is an answer as well.

    `labels` is a column of lists, or several columns of 0 and 1 whose names are the labels. An empty field of a column
    of lists means no label. An answer is a sorted list of label names.

    Attributes:
        threshold: a label belongs to a text from this probability on; `validation`: the one of 0.05, 0.10, ..., 0.95
            that is best for the main metric on the validation split, with the best epoch's weights. Epochs are then
            compared at 0.5. A model that writes its answers has no threshold.

    Examples:
        {"text": "a tender and happy day", "labels": ["joy", "love"]}
        {"text": "the bus is late", "labels": []}
    """

    roles: ClassVar[Mapping[str, str | None]] = {"text": "text", "pair": None, "labels": "labels"}
    several = ("labels",)
    gold = "labels"
    form = "classes"
    poses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "multi_label_classification": ("threshold", *WeighingTask.weighing),
        "text_to_text": FROM_SOURCE,
    }
    default_metrics = ("micro_f1", "label_macro_f1", "subset_accuracy")
    asks = "labels: {text}\n{pair}"

    objective: str = "multi_label_classification"
    threshold: float | Literal["validation"] = 0.5

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not isinstance(self.threshold, str) and not 0 < self.threshold < 1:
            raise ValueError(f"threshold: {self.threshold} is not between 0 and 1. Give a probability, or validation.")
        columns = self._indicators
        if columns and self.labels and set(self.labels) != set(columns):
            raise ValueError(f"labels: {list(self.labels)} are not the columns {list(columns)}. Remove labels.")
        if self.hidden_label is not None:
            raise ValueError(f"hidden_label: {self.objective} has none. Remove the split whose labels are withheld.")
        return self

    @property
    def _indicators(self) -> tuple[str, ...]:
        """The columns of 0 and 1; empty if one column holds lists."""
        return () if isinstance(self.columns["labels"], str) else self.columns_of("labels")

    def converted(self, frames: Mapping[Split, pd.DataFrame], place: str) -> Converted:
        """Lists of labels, where cells separate them by commas or semicolons: in all rows, if in one."""
        if self._indicators:
            return Converted(frames, self.labels)
        column = self.columns_of("labels")[0]
        cells = [cell for frame in frames.values() for cell in frame[column]]
        plain = [cell for cell in cells if isinstance(cell, str) and not cell.startswith("[")]
        mark = next((mark for mark in (";", ",") if any(mark in cell for cell in plain)), None)
        if mark is None:
            return Converted(frames, self.labels)
        lists: dict[Split, pd.DataFrame] = {
            split: frame.assign(**{column: [_separated(cell, mark) for cell in frame[column]]})
            for split, frame in frames.items()
        }
        return Converted(lists, self.labels, (f"Labels in column '{column}' are separated by '{mark}'.",))

    def labels_of(self, frame: pd.DataFrame, place: str) -> list[Sequence[str]]:
        """The labels that apply."""
        return [*(self._from_columns(frame, place) if self._indicators else self._from_lists(frame, place))]

    def names(self, written: Iterable[str], place: str) -> tuple[str, ...]:
        """The columns' names, or the distinct labels, sorted."""
        return super().names(self._indicators or written, place)

    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> list[TextExample]:
        """Texts with sorted class indices."""
        answers = [
            tuple(sorted({lookup(classes, label, f"{place}, row {number}") for label in row}))
            for number, row in zip(frame.index, self.labels_of(frame, place), strict=True)
        ]
        return self._paired(frame, answers, place)

    def _from_lists(self, frame: pd.DataFrame, place: str) -> list[list[str]]:
        column = frame[self.column("labels")]
        return [_listed(row, f"{place}, row {number}") for number, row in zip(frame.index, column, strict=True)]

    def _from_columns(self, frame: pd.DataFrame, place: str) -> list[list[str]]:
        rows: list[list[str]] = [[] for _ in frame.index]
        for column in self._indicators:
            for row, number, value in zip(rows, frame.index, frame[column], strict=True):
                if _is_set(value, column, f"{place}, row {number}"):
                    row.append(column)
        return rows

    def asked(self, text: str, second: str) -> TextExample:
        """The text, or both."""
        return TextExample(text, (), second if self.column("pair") else None)

    def classes_of(self, example: TextExample) -> tuple[int, ...]:
        """All of its classes."""
        assert isinstance(example.label, tuple)
        return example.label

    def references(self, examples: Sequence[TextExample], labels: Sequence[str]) -> list[list[str]]:
        """Sorted label names of each text."""
        return [sorted(labels[index] for index in self.classes_of(example)) for example in examples]

    def target_of(self, example: TextExample, labels: Sequence[str]) -> str:
        """The labels' names, or `none`.

        Raises:
            UserError: a label's name cannot be distinguished from several labels, or from none.
        """
        for label in labels:
            if "," in label or label.strip().casefold() == NONE:
                raise UserError(
                    f"task '{self.name}': a model that generates answers cannot use the label '{label}', because "
                    f"labels are separated by commas and '{NONE}' means no label. Rename it."
                )
        return super().target_of(example, labels)

    def in_words(self, answer: Sequence[str]) -> str:
        """The labels' names, separated by commas."""
        return ", ".join(answer) or NONE

    def answer_of(self, text: str, labels: Sequence[str]) -> list[str]:
        """The labels in a generated answer; parts that are not labels are ignored."""
        return sorted({label for part in text.split(",") if (label := label_of(part, labels)) != NO_LABEL})

    def unreadable(self, answers: Sequence[Any], details: Sequence[Any], labels: Sequence[str]) -> str:
        """How many answers contained a part that is not a label."""
        known = (*labels, NONE)
        count = sum(NO_LABEL in [label_of(part, known) for part in row["text"].split(",")] for row in details)
        text = f"{count} of {len(answers)} test answers contained a part that is not a label; it was ignored."
        return text if count else ""

    def answered(self, text: str, answer: list[str], details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """The labels, and every label's probability, or what was written."""
        scores = dict(zip(labels, details, strict=True)) if isinstance(details, list) else details
        return {"text": text, "labels": answer, "scores": scores}


def labels_from(probabilities: Sequence[float], labels: Sequence[str], threshold: float) -> list[str]:
    """The sorted names of the labels whose probability reaches the threshold."""
    return sorted(label for label, value in zip(labels, probabilities, strict=True) if value >= threshold)


def _separated(cell: Any, mark: str) -> Any:
    if not isinstance(cell, str) or cell.startswith("["):
        return cell
    return [part.strip() for part in cell.split(mark) if part.strip()]


def _listed(value: Any, place: str) -> list[str]:
    """A row's labels; an empty field has none."""
    if value is None:
        return []
    labels = as_list(value, place) if isinstance(value, str | list) else [value]
    for label in labels:
        if not isinstance(label, str):
            raise UserError(f'{place}: the labels {str(value)[:60]} are not a list of words. Write ["like", "this"].')
    return labels


_SET = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def _is_set(value: Any, column: str, place: str) -> bool:
    if not isinstance(value, str) or value.strip().lower() not in _SET:
        raise UserError(f"{place}: the column '{column}' has {value!r}, not 0 or 1. Write 1 where the label applies.")
    return _SET[value.strip().lower()]
