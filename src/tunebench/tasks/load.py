"""From a task to its examples: the hub, a data root, or the user's own files.

Missing splits are carved by the rule above `CARVED` in `tasks/base.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.tasks import splits as split_rules
from tunebench.tasks.base import EMBEDDED, Split, Task
from tunebench.tasks.examples import Example
from tunebench.tasks.files import READERS, packed, read
from tunebench.tasks.reading import classes_as_written
from tunebench.tasks.tables import FileTable, table_of
from tunebench.tasks.weighing import WeighingTask
from tunebench.zoo import embedded

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_ALIASES = {"validation": ("validation", "valid", "val", "dev")}


class UnavailableError(UserError):
    """Data of the hub that are not on this machine."""


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
    tables, source = _tables(task, data_root, download)
    frames: dict[Split, pd.DataFrame] = {}
    for split, rows in tables.by_split.items():
        if not len(rows):
            raise UserError(f"task '{task.name}': the {split} split of {source} is empty. Give at least one row.")
        _require_columns(task, rows, f"{source}, {split} split")
        frames[split] = _frame(rows)
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
    read_notes = [note for table in tables.by_split.values() for note in table.notes]
    notes = [*dict.fromkeys(read_notes), *hidden, *converted.notes, *carved, *limited]
    groups = task.groups_of(frames["test"])
    return Data(splits, labels, source, (*notes, *_on_groups(groups)), tables.files, groups)


def _on_groups(groups: Sequence[int] | None) -> list[str]:
    """That test examples depend on each other, where some do."""
    count = len(set(groups or ()))
    if groups is None or count == len(groups):
        return []
    return [f"The {len(groups):,} test examples form {plural(count, 'group')}: intervals are over groups."]


def _frame(table: FileTable) -> pd.DataFrame:
    """Cells as they are; rows are numbered from 1, as messages count them."""
    index = range(1, len(table) + 1)
    return pd.DataFrame({name: pd.Series(cells, index, dtype=object) for name, cells in table.columns.items()})


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
class _Tables:
    """Rows of each split, and how many rows each file holds."""

    by_split: dict[Split, FileTable]
    files: dict[str, int] = field(default_factory=dict)


def _tables(task: Task, data_root: Path | str | None, download: bool) -> tuple[_Tables, str]:
    if task.data == EMBEDDED:
        return _embedded(task)
    if task.data is not None:
        files, source = _own_files(task)
    elif data_root is not None:
        files, source = _data_root(task, Path(data_root))
    else:
        files, source = _hub(task, download)
    tables: dict[Split, FileTable] = {}
    counts: dict[str, int] = {}
    for split, paths in files.items():
        parts = {path: _read(path, task) for path in paths}
        counts |= {path.name: len(table) for path, table in parts.items()}
        tables[split] = _joined([*parts.values()])
    return _Tables(tables, counts), source


def _embedded(task: Task) -> tuple[_Tables, str]:
    if task.name not in embedded.DATA:
        raise UserError(
            f"task '{task.name}': tunebench ships no data set for it. {did_you_mean(task.name, embedded.DATA)} "
            "Name the task after one, or give its own data."
        )
    rows = embedded.rows(task.name)
    return _Tables({split: table_of(rows[split]) for split in SPLITS}), f"embedded {task.name}"


def _own_files(task: Task) -> tuple[dict[Split, list[Path]], str]:
    if isinstance(task.data, dict):
        if "train" not in task.data:
            raise UserError(f"task '{task.name}': data has no train file. Give data: {{train: FILE, ...}}.")
        return {split: [Path(path)] for split, path in task.data.items()}, ", ".join(task.data.values())
    path = Path(str(task.data)).expanduser()
    if not path.is_dir():
        return {"train": [path]}, str(path)
    files: dict[Split, list[Path]] = {
        split: [file] for split in SPLITS for file in _split_files(path, split, [*READERS, *task.formats])
    }
    if "train" not in files:
        raise UserError(f"task '{task.name}': folder {path} contains no train file (train.csv, train.parquet, ...).")
    return files, str(path)


def _split_files(folder: Path, split: str, endings: Sequence[str]) -> list[Path]:
    names = _ALIASES.get(split, (split,))
    files = (folder / f"{name}{end}" for name in names for ending in endings for end in packed(ending))
    return [file for file in files if file.is_file()][:1]


def _data_root(task: Task, root: Path) -> tuple[dict[Split, list[Path]], str]:
    folder = root / (task.folder or task.name)
    if not folder.is_dir():
        raise UserError(
            f"task '{task.name}': the data root has no folder {folder}. Put {task.folder}/train.parquet there, "
            "or omit --data-root to load the data from the hub."
        )
    files: dict[Split, list[Path]] = {
        split: [folder / f"{split}.parquet"] for split in SPLITS if (folder / f"{split}.parquet").is_file()
    }
    if "train" not in files:
        raise UserError(f"task '{task.name}': {folder} contains no train.parquet.")
    return files, f"{root.name}/{folder.name}"


def _hub(task: Task, download: bool) -> tuple[dict[Split, list[Path]], str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    assert task.hub is not None, "a task without own data names its hub data set"
    patterns = [task.hub.files.format(split=split) for split in SPLITS]
    try:
        snapshot = snapshot_download(
            task.hub.id,
            repo_type="dataset",
            revision=task.hub.revision,
            allow_patterns=patterns,
            local_files_only=not download,
        )
        folder = Path(snapshot)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UnavailableError(
            f"task '{task.name}': the data set {task.hub.id} is not on this machine, and the hub cannot be reached. "
            f"Give --data-root DIR with DIR/{task.folder}/<split>.parquet, or run once with network access."
        ) from error
    files: dict[Split, list[Path]] = {}
    for split, pattern in zip(SPLITS, patterns, strict=True):
        if parts := sorted(folder.glob(pattern)):
            files[split] = parts
    if "train" not in files:
        raise UserError(f"task '{task.name}': {task.hub.id} has no files {patterns[0]} at {task.hub.revision}.")
    return files, f"{task.hub.id}@{folder.name}"  # the cache names a snapshot's folder by its commit


def _read(path: Path, task: Task) -> FileTable:
    path = path.expanduser()
    columns = [column for role in task.columns for column in task.columns_of(role)]
    try:
        return task.assembled(read(path, columns, task.formats), str(path))
    except UserError as error:
        raise UserError(f"task '{task.name}': {error}") from error


def _joined(tables: Sequence[FileTable]) -> FileTable:
    """One table of a split's parts; where a part lacks a column, its cells are empty."""
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    return FileTable(
        {name: [cell for table in tables for cell in table.columns.get(name, [None] * len(table))] for name in names},
        notes=tuple(note for table in tables for note in table.notes),
    )


def _require_columns(task: Task, table: FileTable, place: str) -> None:
    if place.endswith("train split") and task.split.by is not None and task.split.by not in table.columns:
        raise UserError(
            f"task '{task.name}': {place} has no column '{task.split.by}' (for split.by). "
            f"{did_you_mean(task.split.by, table.columns)}"
        )
    for role in task.columns:
        for column in task.columns_of(role):
            if column not in table.columns:
                raise UserError(
                    f"task '{task.name}': {place} has no column '{column}' (for {role}). "
                    f"{did_you_mean(column, table.columns)} Name it with columns: {{{role}: NAME}}."
                )
