"""Files that a reader finds whole: the old one or the new one, never a half."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (no NaN) so that a reader sees the old file or the new one, never a half."""
    write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file, flush it, and rename it over the target. A full disk leaves only the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def ordinary_permissions(*paths: Path) -> None:
    """Give files the permissions of any new file in their folder: safetensors lets their owner alone read them."""
    for path in paths:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            new.touch()
            path.chmod(new.stat().st_mode)
        finally:
            new.unlink(missing_ok=True)


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False also for a name that no system takes, such as one of 5,000 letters."""
    return os.path.isfile(path)  # noqa: PTH113  Path.is_file raises an error then


def is_folder(path: str | Path) -> bool:
    """As `is_file`, for folders."""
    return os.path.isdir(path)  # noqa: PTH112


def absolute(path: str | Path) -> str:
    """The path from the root; links are not followed, as a link's own name counts. `~nobody` stays as it is."""
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  Path.expanduser raises an error then


def link(source: Path, target: Path) -> None:
    """Give a file a second name, in place of what had it; a copy where the file system has no hard links."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # a rename between two names of one file leaves both


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """The digests of files by their names in a folder, sorted."""
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in sorted(files)}


def differing(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """The files that are missing, cannot be read, or have another digest."""
    return [name for name, digest in digests.items() if _digest_or_none(folder / name) != digest]


def _digest_or_none(path: Path) -> str | None:
    try:
        return digest_of(path)
    except OSError:
        return None


def read_json(path: Path) -> Mapping[str, Any] | None:
    """The object in a JSON file, or None if the file is absent or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
