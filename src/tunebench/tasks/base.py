"""A task is a record: the question, the data, and the metrics.

`Task` is what all tasks share. Each problem type derives from it in one file of `tasks/problems/`; a task's `objective`
names its problem type, and `Task.model_validate` gives an instance of that class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tunebench._util.base import Strict
from tunebench._util.errors import UserError, did_you_mean, shown
from tunebench.evaluation.metrics import METRICS
from tunebench.tasks.examples import Example
from tunebench.tasks.reading import class_names

if TYPE_CHECKING:
    import pandas as pd

    from tunebench.tasks.tables import FileTable

Split = Literal["train", "validation", "test"]
SPLITS = get_args(Split)

Files = str | tuple[str, ...]
"""A file, a pattern such as `part-*.csv`, a folder that the library datasets saved, or a list of them."""

EMBEDDED = "embedded"
"""`data` of a built-in task on the small data set that tunebench ships for it."""

# A missing validation split is 10 % of train. A missing test split is the validation split if there is one, else 10 %
# of the rows. Rows are drawn by a shuffle seeded with 0 and leave the split they come from. `split` says otherwise.
CARVED = 0.1
CARVING_SEED = 0


class HubData(Strict):
    """Parquet files of a hub data set; `hub: ID` is short for its id alone.

    Script data sets can no longer be loaded, so a mirror's revision may be named.

    Attributes:
        id: of the data set.
        revision: branch, tag or commit.
        config: of a data set that has several; null: `default`.
        files: path of a split's parquet files, with {split}; null: those that the hub keeps of every public data set,
            whatever its own format is.
    """

    id: str
    revision: str = "main"
    config: str | None = None
    files: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _files_have_a_split(self) -> Self:
        if self.files is not None and self.config is not None:
            raise ValueError("config and files exclude each other. Write the configuration into files.")
        if self.files is not None and "{split}" not in self.files:
            raise ValueError(f"files: {self.files} has no {{split}}. Write it where a path names the split.")
        return self

    @property
    def commit(self) -> str:
        """The revision that holds the files."""
        return "refs/convert/parquet" if self.files is None and self.revision == "main" else self.revision

    @property
    def configuration(self) -> str:
        """The configuration's name."""
        return self.config or "default"


class Splitting(Strict):
    """How missing splits are carved from train; a split that has its own file is left as it is.

    Attributes:
        validation: share of the rows, or of the groups.
        test: share of the rows, or of the groups.
        seed: of the shuffle; other seeds give repeated splits.
        folds: so many equal parts of the rows, for cross-validation; one task for each `fold`.
        fold: the part that is the test split, from 1 to `folds`; a validation file stays the validation split.
        by: a column, such as author or document: rows with the same value stay in one split.
        column: a column that names the split of each row, as train, validation (valid, val, dev) or test.
        values: the values of `column` that mean a split, such as `{validation: [8], test: [9]}`; rows with others are
            train, or not read where `train` has its own.
    """

    validation: float = Field(default=CARVED, gt=0, lt=1)
    test: float = Field(default=CARVED, gt=0, lt=1)
    seed: int = Field(default=CARVING_SEED, ge=0)
    folds: int | None = Field(default=None, ge=2)
    fold: int | None = Field(default=None, ge=1)
    by: str | None = None
    column: str | None = None
    values: dict[Split, tuple[str, ...]] = {}

    @field_validator("values", mode="before")
    @classmethod
    def _as_written(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        listed = {split: one if isinstance(one, list | tuple) else [one] for split, one in given.items()}
        return {split: tuple(as_written(value) for value in values) for split, values in listed.items()}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.values and self.column is None:
            raise ValueError("values says what the values of a column mean. Name it: split: {column: NAME, ...}.")
        twice = [value for value, count in Counter(sum(self.values.values(), ())).items() if count > 1]
        if twice:
            raise ValueError(f"values: '{twice[0]}' means two splits. Remove one.")
        if (self.folds is None) != (self.fold is None):
            raise ValueError("folds and fold belong together. Write folds: 5, fold: 1.")
        if self.folds is not None and self.fold is not None and self.fold > self.folds:
            raise ValueError(f"fold: {self.fold} is more than folds: {self.folds}. Give 1 to {self.folds}.")
        if self.folds is None and self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave no row for train.")
        return self


def as_written(value: Any) -> str:
    """A value of YAML as data files write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Converted:
    """A task's rows in the form that its examples are made from, its stated labels in that form, and what was done."""

    frames: Mapping[Split, pd.DataFrame]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Task(Strict, ABC):
    """A built-in task, or one made of the user's own files.

    Attributes:
        name: the built-in task, or how reports and folders call your own.
        title: its name in prose.
        version: raised when the definition changes, so that old results are not mixed with new ones.
        objective: the problem type; of a built-in task it is known.
        hub: the data set on the hub, of a built-in task or your own.
        folder: the data set's folder under `--data-root`, one `<split>.parquet` each.
        data: the user's own file, or a file per split; a list or a pattern (`part-*.csv`) stands for several, and a
            folder may be one that the library datasets saved; `embedded`: the data set that tunebench ships.
        columns: role -> the column that plays it, or several where the problem type allows it; null: no such column. A
            template joins columns: `{text: "{title}. {body}"}`.
        labels: class or tag names in the order of their indices; empty: inferred from the training split.
        split: how missing splits are carved from train.
        hidden_label: the value that stands where a split's labels are withheld.
        metrics: the first is the main one: it selects the best epoch and ranks.
        max_tokens: longer inputs are cut, and counted.
        rows: at most so many examples per split, drawn by a shuffle seeded with 0.
        licence: of the data.
        citation: where the data come from.
        caveats: sentences that a reader of the figures must know.
    """

    # What a problem type declares.
    roles: ClassVar[Mapping[str, str | None]]
    """Role -> the column that plays it unless `columns` says otherwise; None: no column unless one is named."""
    optional: ClassVar[tuple[str, ...]] = ("group",)
    """Further roles, which a column plays only where `columns` names one; `group`: test examples with the same value
    depend on each other."""
    natural_group: ClassVar[str | None] = None
    """The role that plays `group` where no column is named."""
    several: ClassVar[tuple[str, ...]] = ()
    """Roles that several columns may play together."""
    gold: ClassVar[str] = "label"
    """The role that holds the reference answer."""
    form: ClassVar[str]
    """What an answer is; metrics of the same form are allowed: class, classes, tags, score, likelihoods or text."""
    poses: ClassVar[Mapping[str, tuple[str, ...]]]
    """Objective that the task may be posed as, best first -> the task's fields that are its settings."""
    default_metrics: ClassVar[tuple[str, ...]]
    second: ClassVar[str | None] = None
    """The role of a second text in a new example."""
    second_is_optional: ClassVar[bool] = False
    formats: ClassVar[Mapping[str, Callable[[str, str], FileTable]]] = {}
    """File ending -> reader of a file's text, with its place for messages: formats that only this problem type has."""

    name: str
    title: str = ""
    version: int = 1
    objective: str
    hub: HubData | None = None
    folder: str | None = None
    data: Files | dict[Split, Files] | None = None
    columns: dict[str, str | tuple[str, ...] | None] = {}
    labels: tuple[str, ...] = ()
    split: Splitting = Splitting()
    hidden_label: int | None = None
    metrics: tuple[str, ...] = ()
    max_tokens: int = Field(128, ge=8)
    rows: dict[Split, int] = {}
    licence: str = ""
    citation: str = ""
    caveats: tuple[str, ...] = ()

    # Validation -------------------------------------------------------------------------------------------------------

    @model_validator(mode="wrap")
    @classmethod
    def _as_its_problem(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Any:
        if not isinstance(values, dict):
            return handler(values)
        if cls is Task:
            return problem_of(values.get("objective")).model_validate(values)
        try:
            return handler(cls._filled(values))
        except ValidationError as error:
            raise _with_known_fields(error, cls) from None

    @classmethod
    def _filled(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The values with the problem type's defaults, after checks whose messages name the way out."""
        objective = cls.model_fields["objective"].default
        columns = values.get("columns") or {}
        if isinstance(columns, dict):  # CoNLL files have numbered columns
            columns = {role: str(name) if type(name) is int else name for role, name in columns.items()}
        for role, column in columns.items() if isinstance(columns, dict) else ():
            if role not in (roles := (*cls.roles, *cls.optional)):
                raise ValueError(f"columns: {objective} has no role '{role}'. {did_you_mean(str(role), roles)}")
            if isinstance(column, list | tuple) and role not in cls.several:
                raise ValueError(f"columns: {role} is one column, not {list(column)}. Name one.")
        metrics = values.get("metrics") or cls.default_metrics
        if not isinstance(metrics, list | tuple):
            raise ValueError(f"metrics: write a list, [{shown(metrics)}].")
        for metric in metrics:
            if metric not in cls.allowed_metrics():
                known = did_you_mean(str(metric), cls.allowed_metrics())
                raise ValueError(f"{objective} has no metric '{metric}'. {known}")
        data = values.get("data")
        if any(files in ([], ()) for files in (data.values() if isinstance(data, dict) else [data])):
            raise ValueError("data: the list names no file. Give at least one.")
        for split in data if isinstance(data, dict) else ():
            if split not in SPLITS:
                raise ValueError(f"data: there is no split '{split}'. {did_you_mean(str(split), SPLITS)}")
        columns = {**cls.roles, **columns} if isinstance(columns, dict) else columns
        return {**values, "columns": columns, "metrics": metrics}

    @model_validator(mode="after")
    def _rows_are_positive(self) -> Self:
        for split, count in self.rows.items():
            if count < 1:
                raise ValueError(f"rows.{split}: {count} leaves no example. Give at least 1.")
        return self

    # What the problem type is -----------------------------------------------------------------------------------------

    @classmethod
    def allowed_metrics(cls) -> tuple[str, ...]:
        """Metrics for answers of this form; a new one changes no task, and so no run."""
        return tuple(name for name, metric in METRICS.items() if metric.form == cls.form)

    @property
    def has_classes(self) -> bool:
        """Whether an answer is one of a list of labels, or several."""
        return self.form in ("class", "classes", "tags")

    def objective_of(self, known: Collection[str]) -> str | None:
        """The best objective of `known` that the task can be posed as; None: there is none."""
        return next((way for way in self.poses if way in known), None)

    def particular(self, objective: str) -> dict[str, Any]:
        """The task's fields that are settings of an objective."""
        return {name: getattr(self, name) for name in self.poses.get(objective, ())}

    def column(self, role: str) -> str | None:
        """The one column that plays a role, or None."""
        column = self.columns.get(role)
        assert column is None or isinstance(column, str), f"several columns play {role}"
        return column

    def columns_of(self, role: str) -> tuple[str, ...]:
        """All columns that play a role."""
        column = self.columns.get(role)
        return () if column is None else (column,) if isinstance(column, str) else column

    # From rows to examples --------------------------------------------------------------------------------------------

    def assembled(self, table: FileTable, place: str) -> FileTable:
        """A file's rows as the problem type understands them: sentences of words that stand one per row, for example.

        Raises:
            UserError: they cannot be understood; `place` begins the message.
        """
        return table

    def converted(self, frames: Mapping[Split, pd.DataFrame], place: str) -> Converted:
        """All rows of all files in the form that `labels_of` and `examples` read.

        Raises:
            UserError: they cannot be brought to it; `place` begins the message.
        """
        return Converted(frames, self.labels)

    def labels_of(self, frame: pd.DataFrame, place: str) -> list[Sequence[str]]:
        """The labels of each row, as they are written; of a problem type that has none, nothing.

        Raises:
            UserError: a label is missing or malformed; `place` begins the message.
        """
        return [() for _ in range(len(frame))]

    def names(self, written: Iterable[str], place: str) -> tuple[str, ...]:
        """Class or tag names in the order of their indices, from the training split's labels as written.

        Raises:
            UserError: there are fewer than two.
        """
        return class_names(written, place)

    @abstractmethod
    def examples(self, frame: pd.DataFrame, classes: Mapping[str, int], place: str) -> Sequence[Example]:
        """A split's rows as examples.

        Args:
            frame: cells as they stand in the file: texts, None where empty, lists and dicts of texts.
            classes: label as written -> class index; empty where the problem type has none.
            place: begins messages.

        Raises:
            UserError: a value is missing or malformed, or a label is outside the list.
        """

    @abstractmethod
    def asked(self, text: str, second: str) -> Example:
        """A new text as an example without an answer; `second` is empty if there is no second text."""

    def groups_of(self, frame: pd.DataFrame) -> tuple[int, ...] | None:
        """A number for each row; rows that depend on each other have the same. None: each is its own.

        A named `group` column comes first, then the column that splits are made by, if these rows have it. Empty cells
        are one group, as in splits.
        """
        by = self.split.by if self.split.by in frame.columns else None
        column = self.column("group") or by or (self.column(self.natural_group) if self.natural_group else None)
        if column is None:
            return None
        numbers: dict[str, int] = {}
        return tuple(numbers.setdefault(str(cell), len(numbers)) for cell in frame[column])

    @property
    def second_column(self) -> str | None:
        """The column of a new example's second text; None where there is one text only."""
        return self.column(self.second) if self.second is not None else None

    def text_of(self, cell: Any, place: str) -> str:
        """The new text that a file's cell holds.

        Raises:
            UserError: it holds none; `place` begins the message.
        """
        if not isinstance(cell, str) or not cell.strip():
            what = "is empty" if cell is None or isinstance(cell, str) else f"has {str(cell)[:60]}, not a text"
            raise UserError(f"{place} {what}. Write a text.")
        return cell

    def as_written(self, texts: Sequence[str], seen: Callable[[], Sequence[str]]) -> tuple[list[str], str]:
        """Raw texts as the task's data write theirs, and a warning where the data do not show how, else nothing.

        Args:
            texts: as people write them.
            seen: reads inputs of the task's data.
        """
        return list(texts), ""

    # An example, as a model and as a person read it -------------------------------------------------------------------

    @abstractmethod
    def input_of(self, example: Any) -> str:
        """All that a model reads."""

    def shown(self, example: Any) -> str:
        """What the model was asked, as a person reads it."""
        return self.input_of(example)

    def classes_of(self, example: Any) -> tuple[int, ...]:
        """Indices of the classes that a whole text belongs to; none where an answer is something else."""
        return ()

    # Answers ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def references(self, examples: Sequence[Any], labels: Sequence[str]) -> list[Any]:
        """The gold answers, in the form that predictions have."""

    @abstractmethod
    def answered(self, text: str, answer: Any, details: Any, labels: Sequence[str]) -> dict[str, Any]:
        """An answer to a new text as `predict` gives it; `details` is what `Objective.decode` returned with it."""


def problem_of(objective: Any) -> type[Task]:
    """The problem type of an objective.

    Raises:
        ValueError: no objective has this name.
    """
    from tunebench.tasks.problems import problems  # they derive from `Task`

    if not isinstance(objective, str) or objective not in problems():
        raise ValueError(f"there is no objective '{objective}'. {did_you_mean(str(objective), problems())}")
    return problems()[objective]


def _with_known_fields(error: ValidationError, problem: type[Task]) -> ValidationError:
    """The same error, with the known fields for an unknown one."""
    lines: list[InitErrorDetails] = []
    for line in error.errors():
        details: Any = {key: value for key, value in line.items() if key in ("type", "loc", "input", "ctx")}
        if line["type"] == "extra_forbidden" and len(line["loc"]) == 1:
            text = f"there is no field '{line['loc'][0]}'. {did_you_mean(str(line['loc'][0]), problem.model_fields)}"
            details |= {"type": PydanticCustomError("unknown_setting", "{text}", {"text": text}), "ctx": {}}
        lines.append(details)
    return ValidationError.from_exception_data(error.title, lines)
