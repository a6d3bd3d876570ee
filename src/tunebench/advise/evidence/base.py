"""The evidence base as files: one per model, data set and size, a line per run. No text of any data set is in it."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from platformdirs import user_data_path
from pydantic import ValidationError

from tunebench._util.errors import UserError
from tunebench.records import EvidenceCell, EvidenceRun

FOLDER = "TUNEBENCH_EVIDENCE"
"""Environment variable: the folder of the user's own evidence."""


@dataclass(frozen=True)
class Evidence:
    """A cell with its runs."""

    cell: EvidenceCell
    runs: tuple[EvidenceRun, ...]


def own_folder() -> Path:
    """Where a user's own evidence is kept; nothing leaves it."""
    return Path(os.environ.get(FOLDER) or user_data_path("tunebench", appauthor=False) / "evidence")


def shipped_folder() -> Path:
    """The results that ship with the package."""
    return Path(str(resources.files("tunebench.evidence"))) / "results"


def evidence(folders: Sequence[Path] | None = None) -> list[Evidence]:
    """All evidence of some folders; by default what ships, and the user's own.

    Raises:
        UserError: a file is damaged.
    """
    chosen = (shipped_folder(), own_folder()) if folders is None else folders
    return [one for folder in chosen for path in sorted(folder.glob("*/*.jsonl")) if (one := read(path)) is not None]


def read(path: Path) -> Evidence | None:
    """The evidence in a file; None where there is none yet. A line that was cut off at the end is ignored.

    Raises:
        UserError: another line is damaged.
    """
    lines = list(_lines(path))
    if not lines:
        return None
    try:
        cell = EvidenceCell.model_validate_json(lines[0])
        return Evidence(cell, tuple(EvidenceRun.model_validate_json(line) for line in lines[1:]))
    except ValidationError as error:
        raise UserError(
            f"{path}: it is no file of evidence, or it is damaged ({error.errors()[0]['msg']}). Remove it, and add its "
            "study again with 'tunebench evidence add'."
        ) from error


def append(folder: Path, cell: EvidenceCell, run: EvidenceRun) -> bool:
    """Add a run; one with the same key stays as it is. Says whether it was new.

    Raises:
        OSError: the folder cannot be written.
        UserError: the file is damaged, or holds other data or another model of the same name.
    """
    path = path_of(folder, cell)
    known = read(path)
    if known is not None and (known.cell.data, known.cell.backbone) != (cell.data, cell.backbone):
        raise UserError(
            f"{path}: it holds results of other data or another model of the same name. "
            "Give the task or the model another name in the study, or remove the file."
        )
    if known is not None and any(one.key == run.key for one in known.runs):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = b"".join(line + b"\n" for line in _lines(path))
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(len(whole))
        file.truncate()
        if known is None:
            file.write(_line(cell))
        file.write(_line(run))
    return True


def path_of(folder: Path, cell: EvidenceCell) -> Path:
    """The file of a cell."""
    return folder / cell.model / f"{cell.dataset}-{cell.rows['train']}.jsonl"


def _lines(path: Path) -> Iterator[bytes]:
    content = path.read_bytes() if path.is_file() else b""
    yield from content[: content.rfind(b"\n") + 1].splitlines()


def _line(record: EvidenceCell | EvidenceRun) -> bytes:
    content = record.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(_short(content), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _short(value: object) -> object:
    """Numbers with five digits: more of them are chance."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list | tuple) else value
