"""The `adapter/` folder of a run, as another library's user finds it."""

import json
from pathlib import Path

from tunebench._util.files import ordinary_permissions, read_json, write_atomically

FOLDER = "adapter"
_CONFIG = "adapter_config.json"
_SETS = ("target_modules", "exclude_modules", "feedforward_modules", "modules_to_save")
"""Fields that PEFT keeps as sets: their order in the file is that of a process's hashes."""


def files_in(folder: Path) -> list[Path]:
    """The adapter's configuration and weights in a run's folder, which may have none; its README is for people."""
    return [*(folder / FOLDER).glob("*.json"), *(folder / FOLDER).glob("*.safetensors")]


def tidy(folder: Path) -> None:
    """Make equal adapters equal files, readable as any new file."""
    config = read_json(folder / _CONFIG)
    if config is not None:
        ordered = {name: sorted(x) if name in _SETS and isinstance(x, list) else x for name, x in config.items()}
        write_atomically(folder / _CONFIG, json.dumps(ordered, indent=2, sort_keys=True).encode())
    ordinary_permissions(*folder.glob("*.safetensors"))
