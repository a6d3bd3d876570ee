"""From a task to its examples: the hub, a data root, or the user's own files.

Missing splits are carved by the rule above `CARVED` in `tasks/base.py`.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.tasks import splits as split_rules
from tunebench.tasks.base import EMBEDDED, Split, Task
from tunebench.tasks.examples import Example
from tunebench.tasks.files import read
from tunebench.tasks.origin import SPLITS, origin_of
from tunebench.tasks.reading import classes_as_written
from tunebench.tasks.tables import FileTable, table_of
from tunebench.tasks.templates import fields_of, filled_in
from tunebench.tasks.weighing import WeighingTask
from tunebench.zoo import embedded


@dataclass(frozen=True)
class Data:
    """A task's examples.

    Attributes:
        splits: train, validation and test, none empty.
        labels: class or tag names in the order of their indices; empty for regression.
        source: where the rows came from, with the hub's resolved commit.
        notes: what was converted, carved, limited or replaced.
        files: rows that each file holds.
        test_groups: a number for each test example; those of one group depend on each other. None: each is its own.
    """

    splits: dict[Split, list[Example]]
    labels: tuple[str, ...]
    source: str
    notes: tuple[str, ...]
    files: Mapping[str, int] = field(default_factory=dict)
    test_groups: tuple[int, ...] | None = None

    def fingerprint(self) -> str:
        """SHA-256 over all examples and labels, as used."""
        digest = hashlib.sha256(repr(self.labels).encode())
        for split in SPLITS:
            for example in self.splits[split]:
                digest.update(repr(example).encode())
            digest.update(split.encode())
        return digest.hexdigest()


def load(task: Task, data_root: Path | str | None = None, download: bool = True) -> Data:
    """The task's examples; without `download` only from what this machine has.

    Raises:
        UserError: a file, column or split is missing, empty or malformed, or a label is outside the list.
    """
    rows = _rows(task, data_root, download)
    source = rows.source
    task, named = _with_names(task, rows)
    frames: dict[Split, pd.DataFrame] = {
        split: _frame(table, rows.numbers[split]) for split, table in rows.tables.items()
    }
    frames, divided = split_rules.by_column(task, frames, f"task '{task.name}': {source}")
    frames, hidden = split_rules.without_hidden_labels(task, frames)
    converted = task.converted(frames, f"task '{task.name}': {source}")
    frames, carved = split_rules.carve(task, dict(converted.frames), f"task '{task.name}': {source}, train split")
    frames, limited = split_rules.limit(task, frames)
    places: dict[Split, str] = {split: f"task '{task.name}': {source}, {split} split" for split in SPLITS}
    labels, classes = _labels(task, converted.labels, frames, places)
    if isinstance(task, WeighingTask):
        task.labels_fit(labels)
    splits: dict[Split, list[Example]] = {
        split: [*task.examples(frames[split], classes, places[split])] for split in SPLITS
    }
    read_notes = [*rows.notes, *(note for table in rows.tables.values() for note in table.notes)]
    notes = [*dict.fromkeys(read_notes), *named, *divided, *hidden, *converted.notes, *carved, *limited]
    notes += split_rules.on_shared_groups(task, frames)
    groups = task.groups_of(frames["test"])
    return Data(splits, labels, source, (*notes, *_on_groups(groups)), rows.files, groups)


def _on_groups(groups: Sequence[int] | None) -> list[str]:
    """That test examples depend on each other, where some do."""
    count = len(set(groups or ()))
    if groups is None or count == len(groups):
        return []
    return [f"The {len(groups):,} test examples form {plural(count, 'group')}: intervals are over groups."]


def _frame(table: FileTable, numbers: Sequence[int] | Sequence[str]) -> pd.DataFrame:
    """Cells as they are; rows are numbered from 1 in their file, as messages count them."""
    return pd.DataFrame({name: pd.Series(cells, numbers, dtype=object) for name, cells in table.columns.items()})


def _with_names(task: Task, rows: "_Rows") -> tuple[Task, list[str]]:
    """The task with the class names that its files state, unless it has its own, and a note."""
    column = task.columns.get(task.gold)
    if task.labels or not task.has_classes or not isinstance(column, str):
        return task, []
    stated = {table.names[column] for table in rows.tables.values() if column in table.names}
    if len(stated) > 1:
        raise UserError(
            f"task '{task.name}': {rows.source}: the splits name the classes of column '{column}' differently. Name "
            "them in their order with labels: [...]."
        )
    note = f"The files name the {len(names)} classes of column '{column}'." if (names := next(iter(stated), ())) else ""
    return (task.model_copy(update={"labels": names}), [note]) if names else (task, [])


def _labels(
    task: Task, stated: tuple[str, ...], frames: Mapping[Split, pd.DataFrame], places: Mapping[Split, str]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The labels in the order of their indices, and each label as written with its index."""
    if not task.has_classes:
        return (), {}
    written = {split: task.labels_of(frames[split], places[split]) for split in SPLITS}
    if stated:
        everywhere = {label for rows in written.values() for row in rows for label in row}
        return stated, classes_as_written(stated, everywhere)
    labels = task.names((label for row in written["train"] for label in row), f"task '{task.name}'")
    return labels, {label: index for index, label in enumerate(labels)}


# Where the rows come from ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """All rows of all files.

    Attributes:
        tables: of each split, none empty.
        numbers: of each split's rows, as messages name them.
        source: where they lie.
        files: how many rows each file holds.
        notes: what was left out.
    """

    tables: Mapping[Split, FileTable]
    numbers: Mapping[Split, Sequence[int] | Sequence[str]]
    source: str
    files: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _rows(task: Task, data_root: Path | str | None, download: bool) -> _Rows:
    if task.data == EMBEDDED:
        return _embedded(task)
    origin = origin_of(task, data_root, download)
    names = _names([path for paths in origin.files.values() for path in paths])
    tables: dict[Split, FileTable] = {}
    numbers: dict[Split, Sequence[int] | Sequence[str]] = {}
    counts: dict[str, int] = {}
    for split, paths in origin.files.items():
        parts = {names[path]: _read(path, task) for path in paths}
        if not any(len(table) for table in parts.values()):
            raise UserError(
                f"task '{task.name}': the {split} split of {origin.source} is empty. Give at least one row."
            )
        for name, table in parts.items():
            place = f"{origin.source}, {split} split" + (f", {name}" if len(parts) > 1 else "")
            _require_columns(task, table, place, split)
        counts |= {name: len(table) for name, table in parts.items()}
        tables[split], numbers[split] = _joined(parts)
    return _Rows(tables, numbers, origin.source, counts, origin.notes)


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Short names of files: their own, unless two have the same one; then from the folder that holds all."""
    if len({path.name for path in paths}) == len(set(paths)):
        return {path: path.name for path in paths}
    above = os.path.commonpath([path.parent for path in paths])
    return {path: Path(os.path.relpath(path, above)).as_posix() for path in paths}


def _embedded(task: Task) -> _Rows:
    if task.name not in embedded.DATA:
        raise UserError(
            f"task '{task.name}': tunebench ships no data set for it. {did_you_mean(task.name, embedded.DATA)} "
            "Name the task after one, or give its own data."
        )
    rows = embedded.rows(task.name)
    tables: dict[Split, FileTable] = {split: table_of(rows[split]) for split in SPLITS}
    numbers: dict[Split, range] = {split: range(1, len(table) + 1) for split, table in tables.items()}
    for split, table in tables.items():
        _require_columns(task, table, f"embedded {task.name}, {split} split", split)
    return _Rows(tables, numbers, f"embedded {task.name}")


def _read(path: Path, task: Task) -> FileTable:
    columns = [column for role in task.columns for column in task.columns_of(role)]
    wanted = [name for column in columns for name in fields_of(column) or [column]]
    try:
        table = read(path.expanduser(), wanted, task.formats)
        return task.assembled(filled_in(table, columns, str(path)), str(path))
    except UserError as error:
        raise UserError(f"task '{task.name}': {error}") from error


def _joined(parts: Mapping[str, FileTable]) -> tuple[FileTable, Sequence[int] | Sequence[str]]:
    """One table of a split's parts, and how messages number its rows; columns that a part lacks are empty there."""
    tables = [*parts.values()]
    if len(tables) == 1:
        return tables[0], range(1, len(tables[0]) + 1)
    columns = dict.fromkeys(name for table in tables for name in table.columns)
    joined = FileTable(
        {name: [cell for table in tables for cell in table.columns.get(name, [None] * len(table))] for name in columns},
        notes=tuple(note for table in tables for note in table.notes),
        names=tables[0].names,
    )
    return joined, [f"{at} of {name}" for name, table in parts.items() for at in range(1, len(table) + 1)]


def _require_columns(task: Task, table: FileTable, place: str, split: Split) -> None:
    for rule in ("by", "column"):
        column = getattr(task.split, rule)
        if split == "train" and column is not None and len(table) and column not in table.columns:
            raise UserError(
                f"task '{task.name}': {place} has no column '{column}' (for split.{rule}). "
                f"{did_you_mean(column, table.columns)}"
            )
    for role in task.columns if len(table) else ():
        for column in task.columns_of(role):
            if column not in table.columns:
                raise UserError(
                    f"task '{task.name}': {place} has no column '{column}' (for {role}). "
                    f"{did_you_mean(column, table.columns)} Name it with columns: {{{role}: NAME}}."
                )
