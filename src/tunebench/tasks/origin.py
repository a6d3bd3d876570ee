"""Where a task's rows lie: the user's own files, a data root, or the hub."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.files import is_folder, read_json
from tunebench.tasks.base import HubData, Split, Task
from tunebench.tasks.files import READERS, packed

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ALIASES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""How files, folders and cells name a split, the most usual way first."""
_MOST_SHOWN = 3


class UnavailableError(UserError):
    """Data of the hub that are not on this machine."""


@dataclass(frozen=True)
class Origin:
    """Where rows lie.

    Attributes:
        files: of each split, in their order.
        source: for the record, with the hub's resolved commit.
        notes: what was left out.
    """

    files: Mapping[Split, Sequence[Path]]
    source: str
    notes: tuple[str, ...] = ()


def origin_of(task: Task, data_root: Path | str | None, download: bool) -> Origin:
    """The files of a task that has no embedded data.

    Raises:
        UserError: there are none for the training split, or a pattern matches nothing.
        UnavailableError: they are on the hub, and neither here nor to be downloaded.
    """
    if task.data is not None:
        return _own(task)
    return _data_root(task, Path(data_root)) if data_root is not None else _hub(task, download)


# The user's own -------------------------------------------------------------------------------------------------------


def _own(task: Task) -> Origin:
    if isinstance(task.data, dict):
        if "train" not in task.data:
            raise UserError(f"task '{task.name}': data has no train file. Give data: {{train: FILE, ...}}.")
        files: dict[Split, list[Path]] = {split: _paths(task, given) for split, given in task.data.items()}
        return Origin(files, ", ".join(written(given) for given in task.data.values()))
    assert task.data is not None, "a task with own data"
    given = task.data
    if isinstance(given, str) and is_folder(folder := Path(given).expanduser()) and not _is_saved(folder):
        return _folder(task, folder)
    return Origin({"train": _paths(task, given)}, written(given))


def written(given: str | Sequence[str]) -> str:
    """A split's file or files, the first ones of many."""
    names = [given] if isinstance(given, str) else list(given)
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _paths(task: Task, given: str | Sequence[str]) -> list[Path]:
    """The files that a split's names and patterns mean."""
    paths: list[Path] = []
    for name in [given] if isinstance(given, str) else given:
        path = Path(name).expanduser()
        if _is_saved(path):
            paths += _saved(task, path)
        elif set("*?[") & set(name) and not path.exists():
            matching = sorted(Path(one) for one in glob.glob(str(path), recursive=True))  # noqa: PTH207  ** and ~
            if not matching:
                raise UserError(f"task '{task.name}': no file matches {name}. Check the pattern under data.")
            paths += matching
        else:
            paths.append(path)
    twice = next((path for at, path in enumerate(paths) if path in paths[:at]), None)
    if twice is not None:
        raise UserError(f"task '{task.name}': data names {twice} twice. Remove one.")
    return paths


def _folder(task: Task, folder: Path) -> Origin:
    """A folder with a file for each split, or one that the library datasets saved with several splits."""
    saved = read_json(folder / "dataset_dict.json")
    if saved is not None:
        return _saved_splits(task, folder, [str(name) for name in saved.get("splits", ())])
    endings = [*READERS, *task.formats]
    files: dict[Split, Sequence[Path]] = {
        split: found for split in SPLITS if (found := _split_files(folder, split, endings))
    }
    if "train" not in files:
        raise UserError(f"task '{task.name}': folder {folder} contains no train file (train.csv, train.parquet, ...).")
    return Origin(files, str(folder))


def _split_files(folder: Path, split: Split, endings: Sequence[str]) -> list[Path]:
    """A split's one file, or its parts, as the hub names them: `train-00000-of-00002.parquet`."""
    for name in ALIASES[split]:
        for end in (end for ending in endings for end in packed(ending)):
            if (file := folder / f"{name}{end}").is_file():
                return [file]
            parts = [part for part in sorted(folder.glob(f"{name}-*-of-*{end}")) if _is_part(part.name, name, end)]
            if parts:
                return parts
    return []


def _is_part(file: str, split: str, ending: str) -> bool:
    return re.fullmatch(rf"{split}-\d+-of-\d+{re.escape(ending)}", file) is not None


def _is_saved(folder: Path) -> bool:
    """Whether `Dataset.save_to_disk` wrote this folder."""
    return (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()


def _saved(task: Task, folder: Path) -> list[Path]:
    """The Arrow files of a saved data set."""
    state = read_json(folder / "state.json") or {}
    names = [one["filename"] for one in state.get("_data_files", ()) if isinstance(one, dict) and "filename" in one]
    if not names:
        raise UserError(f"task '{task.name}': {folder}/state.json names no data file. Save the data set again.")
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise UserError(
            f"task '{task.name}': {folder} holds a selection of its rows as indices. Save it whole: "
            "dataset.flatten_indices().save_to_disk(...)."
        )
    return [folder / name for name in names]


def _saved_splits(task: Task, folder: Path, names: Sequence[str]) -> Origin:
    files: dict[Split, Sequence[Path]] = {}
    for split in SPLITS:
        known = next((name for name in ALIASES[split] if name in names), None)
        if known is not None:
            files[split] = _saved(task, folder / known)
    if "train" not in files:
        raise UserError(f"task '{task.name}': {folder} has no split train ({', '.join(names)}). Name its folders.")
    known = {alias for split in files for alias in ALIASES[split]}
    others = [name for name in names if name not in known]
    return Origin(files, str(folder), (f"Splits that are not read: {', '.join(others)}.",) if others else ())


# A data root and the hub ----------------------------------------------------------------------------------------------


def _data_root(task: Task, root: Path) -> Origin:
    folder = root / (task.folder or task.name)
    if not folder.is_dir():
        raise UserError(
            f"task '{task.name}': the data root has no folder {folder}. Put {folder.name}/train.parquet there, "
            "or omit --data-root to load the data from the hub."
        )
    files: dict[Split, list[Path]] = {
        split: [folder / f"{split}.parquet"] for split in SPLITS if (folder / f"{split}.parquet").is_file()
    }
    if "train" not in files:
        raise UserError(f"task '{task.name}': {folder} contains no train.parquet.")
    return Origin(files, f"{root.name}/{folder.name}")


def _hub(task: Task, download: bool) -> Origin:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    hub = task.hub
    assert hub is not None, "a task without own data names its hub data set"
    try:
        snapshot = snapshot_download(
            hub.id,
            repo_type="dataset",
            revision=hub.commit,
            allow_patterns=[pattern for split in SPLITS for pattern in _patterns(hub, split)],
            local_files_only=not download,
        )
        folder = Path(snapshot)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UnavailableError(
            f"task '{task.name}': the data set {hub.id} is not on this machine, and the hub cannot be reached. "
            f"Give --data-root DIR with DIR/{task.folder or task.name}/<split>.parquet, or run once with network "
            "access."
        ) from error
    files: dict[Split, Sequence[Path]] = {}
    for split in SPLITS:
        parts = [sorted(folder.glob(pattern)) for pattern in _patterns(hub, split)]
        if found := next((paths for paths in parts if paths), None):
            files[split] = found
    if "train" not in files:
        raise UserError(f"task '{task.name}': {_missing(hub, folder)}")
    return Origin(files, f"{hub.id}@{folder.name}")  # the cache names a snapshot's folder by its commit


def _patterns(hub: HubData, split: Split) -> Iterator[str]:
    """Paths of a split's files, the most likely first."""
    if hub.files is not None:
        yield hub.files.format(split=split)
        return
    for name in ALIASES[split]:
        yield f"{hub.configuration}/{name}/*.parquet"


def _missing(hub: HubData, folder: Path) -> str:
    if hub.files is not None:
        return f"{hub.id} has no files {hub.files.format(split='train')} at {hub.commit}."
    known = sorted({path.parts[0] for path in _listed(hub, folder) if len(path.parts) > 2})
    return f"{hub.id} has no training split in the configuration '{hub.configuration}'. " + (
        did_you_mean(hub.configuration, known) if known else "Name another: hub: {id: ID, config: NAME}."
    )


def _listed(hub: HubData, folder: Path) -> list[Path]:
    """The repository's files, or those of it that are here."""
    from huggingface_hub import HfApi

    try:
        return [Path(name) for name in HfApi().list_repo_files(hub.id, repo_type="dataset", revision=hub.commit)]
    except (OSError, ValueError):  # no network, or none is wished
        return [path.relative_to(folder) for path in folder.rglob("*.parquet")]
