"""Files that a reader finds whole: the old one or the new one, never a half."""

import json
import os
from collections.abc import Mapping
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


def read_json(path: Path) -> Mapping[str, Any] | None:
    """The object in a JSON file, or None if the file is absent or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
