"""From a task to its examples: the hub, a data root, or the user's own files.

Missing splits are carved by the rule above `CARVED` in `tasks/base.py`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tunebench._util.errors import UserError, did_you_mean
from tunebench.tasks.base import CARVED, CARVING_SEED, EMBEDDED, Split, Task
from tunebench.tasks.examples import Example
from tunebench.zoo import embedded

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_ALIASES = {"validation": ("validation", "valid", "val", "dev")}
# pandas would read the texts "None" and "NA" as missing values, and the JSON text "007" as the number 7.
_AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
_JSON_AS_WRITTEN: dict[str, Any] = {"dtype": False, "precise_float": True}
_READERS: dict[str, Callable[[Path, Any], pd.DataFrame]] = {
    ".csv": lambda path, texts: pd.read_csv(path, dtype=texts, **_AS_WRITTEN),
    ".tsv": lambda path, texts: pd.read_csv(path, sep="\t", dtype=texts, **_AS_WRITTEN),
    ".jsonl": lambda path, texts: pd.read_json(path, lines=True, **_JSON_AS_WRITTEN),
    ".json": lambda path, texts: pd.read_json(path, **_JSON_AS_WRITTEN),
    ".parquet": lambda path, texts: pd.read_parquet(path),
}


@dataclass(frozen=True)
class Data:
    """A task's examples.

    Attributes:
        splits: train, validation and test, none empty.
        labels: class or tag names in the order of their indices; empty for regression.
        source: where the rows came from, with the hub's resolved commit.
        notes: what was carved, limited or replaced.
    """

    splits: dict[Split, list[Example]]
    labels: tuple[str, ...]
    source: str
    notes: tuple[str, ...]

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
    if task.data == EMBEDDED:
        frames, source = _embedded(task)
    elif task.data is not None:
        frames, source = _own_files(task)
    elif data_root is not None:
        frames, source = _data_root(task, Path(data_root))
    else:
        frames, source = _hub(task, download)
    for split, frame in frames.items():
        if frame.empty:
            raise UserError(f"task '{task.name}': the {split} split of {source} is empty. Give at least one row.")
        _require_columns(task, frame, f"{source}, {split} split")
    frames, notes = _without_hidden_labels(task, frames)
    frames, carved = _carve(task, frames)
    frames, limited = _limit(task, frames)
    labels = _labels(task, frames["train"])
    splits: dict[Split, list[Example]] = {
        split: [*task.examples(frames[split], labels, f"task '{task.name}': {source}, {split} split")]
        for split in SPLITS
    }
    return Data(splits, labels, source, tuple(notes + carved + limited))


# Where the rows come from ---------------------------------------------------------------------------------------------


def _embedded(task: Task) -> tuple[dict[str, pd.DataFrame], str]:
    if task.name not in embedded.DATA:
        raise UserError(
            f"task '{task.name}': tunebench ships no data set for it. {did_you_mean(task.name, embedded.DATA)} "
            "Name the task after one, or give its own data."
        )
    return {split: pd.DataFrame(rows) for split, rows in embedded.rows(task.name).items()}, f"embedded {task.name}"


def _own_files(task: Task) -> tuple[dict[str, pd.DataFrame], str]:
    if isinstance(task.data, dict):
        if "train" not in task.data:
            raise UserError(f"task '{task.name}': data has no train file. Give data: {{train: FILE, ...}}.")
        return {split: _read(Path(path), task) for split, path in task.data.items()}, ", ".join(task.data.values())
    path = Path(str(task.data)).expanduser()
    if not path.is_dir():
        return {"train": _read(path, task)}, str(path)
    files = {split: file for split in SPLITS for file in _split_files(path, split, [*_READERS, *task.formats])}
    if "train" not in files:
        raise UserError(f"task '{task.name}': folder {path} contains no train file (train.csv, train.parquet, ...).")
    return {split: _read(file, task) for split, file in files.items()}, str(path)


def _split_files(folder: Path, split: str, endings: Sequence[str]) -> list[Path]:
    names = _ALIASES.get(split, (split,))
    return [folder / f"{name}{end}" for name in names for end in endings if (folder / f"{name}{end}").is_file()][:1]


def _data_root(task: Task, root: Path) -> tuple[dict[str, pd.DataFrame], str]:
    folder = root / (task.folder or task.name)
    if not folder.is_dir():
        raise UserError(
            f"task '{task.name}': the data root has no folder {folder}. Put {task.folder}/train.parquet there, "
            "or omit --data-root to load the data from the hub."
        )
    files = {split: folder / f"{split}.parquet" for split in SPLITS if (folder / f"{split}.parquet").is_file()}
    if "train" not in files:
        raise UserError(f"task '{task.name}': {folder} contains no train.parquet.")
    return {split: _read(path, task) for split, path in files.items()}, f"{root.name}/{folder.name}"


def _hub(task: Task, download: bool) -> tuple[dict[str, pd.DataFrame], str]:
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
        raise UserError(
            f"task '{task.name}': the data set {task.hub.id} is not on this machine, and the hub cannot be reached. "
            f"Give --data-root DIR with DIR/{task.folder}/<split>.parquet, or run once with network access."
        ) from error
    frames = {}
    for split, pattern in zip(SPLITS, patterns, strict=True):
        parts = sorted(folder.glob(pattern))
        if parts:
            frames[split] = pd.concat([_read(part, task) for part in parts], ignore_index=True)
    if "train" not in frames:
        raise UserError(f"task '{task.name}': {task.hub.id} has no files {patterns[0]} at {task.hub.revision}.")
    return frames, f"{task.hub.id}@{folder.name}"  # the cache names a snapshot's folder by its commit


def _read(path: Path, task: Task) -> pd.DataFrame:
    path = path.expanduser()
    if not path.is_file():
        raise UserError(f"task '{task.name}': there is no file {path}. Check the path under data.")
    ending = path.suffix.lower()
    if ending not in _READERS and ending not in task.formats:
        known = ", ".join([*_READERS, *task.formats])
        raise UserError(f"task '{task.name}': {path} is not in a supported format. Use one of {known}.")
    as_text = [role for role in task.columns if role not in task.typed]
    texts = {column: str for role in as_text for column in task.columns_of(role)}  # "007" is no number
    try:
        return task.formats[ending](path) if ending in task.formats else _READERS[ending](path, texts)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parsers raise kinds of ValueError and OSError
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"task '{task.name}': {path} cannot be read as {path.suffix[1:]} ({first}).") from error


def _require_columns(task: Task, frame: pd.DataFrame, place: str) -> None:
    for role in task.columns:
        for column in task.columns_of(role):
            if column not in frame.columns:
                raise UserError(
                    f"task '{task.name}': {place} has no column '{column}' (for {role}). "
                    f"{did_you_mean(column, map(str, frame.columns))} Name it with columns: {{{role}: NAME}}."
                )


# Splits ---------------------------------------------------------------------------------------------------------------


def _without_hidden_labels(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    if task.hidden_label is None:
        return frames, []
    column = task.column(task.gold)
    hidden = [split for split, frame in frames.items() if bool((frame[column] == task.hidden_label).all())]
    notes = [f"The {split} split's labels are withheld ({task.hidden_label}); it is not used." for split in hidden]
    return {split: frame for split, frame in frames.items() if split not in hidden}, notes


def _carve(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    frames, notes = dict(frames), []
    if "test" not in frames and "validation" in frames:
        frames["test"] = frames.pop("validation")
        notes.append("There is no test split: the validation split is the test split.")
    order = np.random.default_rng(CARVING_SEED).permutation(len(frames["train"]))
    train, taken, original = frames["train"], 0, len(frames["train"])
    for split in ("validation", "test"):
        if split in frames:
            continue
        size = max(1, round(original * CARVED))
        frames[split] = train.iloc[np.sort(order[taken : taken + size])]
        taken += size
        notes.append(f"The {split} split is {size} rows carved from train (10 %, shuffle seeded with {CARVING_SEED}).")
    frames["train"] = train.iloc[np.sort(order[taken:])] if taken else train
    if frames["train"].empty:
        raise UserError(f"task '{task.name}': {original} rows are too few for three splits (train, validation, test).")
    return frames, notes


def _limit(task: Task, frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    frames, notes = dict(frames), []
    for split, limit in task.rows.items():
        frame = frames[split]
        if limit < len(frame):
            kept = np.random.default_rng(CARVING_SEED).permutation(len(frame))[:limit]
            frames[split] = frame.iloc[np.sort(kept)]
            notes.append(f"{limit} of {len(frame)} {split} rows, drawn by a shuffle seeded with {CARVING_SEED}.")
    return frames, notes


# Labels ---------------------------------------------------------------------------------------------------------------


def _labels(task: Task, train: pd.DataFrame) -> tuple[str, ...]:
    if not task.has_classes:
        return ()
    return task.labels or task.labels_in(train, f"task '{task.name}'")
