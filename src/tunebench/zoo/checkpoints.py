"""From a model's name to its files: a local folder, the hub, or a shape that is known offline."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError
from tunebench._util.files import read_json
from tunebench.families import families, family_of
from tunebench.families.base import Family
from tunebench.records import ModelInfo
from tunebench.zoo import embedded

_SHAPE = ["*.json", "*.txt", "*.model"]  # configuration and tokenizer
_WEIGHTS = ["*.safetensors"]  # never pickled ones
_TOKENIZER = ["tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"]
_WAYS_OUT = "Give a local folder (--model NAME=PATH), or run once with network access so that the hub's files are kept."


@dataclass(frozen=True)
class Checkpoint:
    """A model that a study names.

    Attributes:
        name: as written in the study.
        revision: a branch, tag or commit of the hub, or None.
        folder: where its files lie, or None if they are still on the hub.
        config: the content of its `config.json`.
        pretrained: whether there are weights to begin with; some names stand for a shape alone.
    """

    name: str
    revision: str | None
    folder: Path | None
    config: Mapping[str, Any]
    pretrained: bool = True

    @property
    def family(self) -> Family:
        """The family that loads it."""
        family = family_of(self.config["model_type"])
        assert family is not None, "find() refuses unknown model types"
        return family


def find(name: str, revision: str | None = None, place: str | None = None) -> Checkpoint:
    """A model's shape, read offline and without torch.

    It comes from the folder `place`, a shipped backbone, a local folder, the known shapes or the hub's cache.

    Raises:
        UserError: the folder holds no model, the model is of no known family, or nothing local says what it is.
    """
    shipped = embedded.backbones().get(name)
    folder = Path(place or shipped or name).expanduser()
    if place or shipped or folder.is_dir():
        pretrained = bool(place) or shipped is None or any(shipped.glob("*.safetensors"))
        return Checkpoint(name, None, folder, _checked(_config_in(folder, name), f"model folder {folder}"), pretrained)
    family = next((family for family in families().values() if name in family.shapes), None)
    if family is not None:
        return Checkpoint(name, revision, None, family.shapes[name], family.on_the_hub)
    cached = _cached_config(name, revision)
    return Checkpoint(name, revision, None, _checked(cached, f"model '{name}'"))


def fetch(checkpoint: Checkpoint, weights: bool = True, download: bool = True) -> tuple[Path, ModelInfo]:
    """The folder with a checkpoint's files, downloaded where needed (`HF_HUB_OFFLINE` is honoured), and what it is.

    Without `weights` none are downloaded or read, and the folder may have none: its configuration and tokenizer count.
    Without `download` only what this machine has counts.

    Raises:
        UserError: no network and no local copy, no such model, or no safetensors weights in it.
    """
    if checkpoint.folder is not None:
        folder, commit = checkpoint.folder, None
    elif not checkpoint.pretrained:
        shipped = [name for name in embedded.backbones() if find(name).family is checkpoint.family]
        raise UserError(
            f"model '{checkpoint.name}': a shape that can be counted, but has no tokenizer. Give a folder with its "
            f"config.json and a tokenizer (--model {checkpoint.name}=PATH), or take {' or '.join(shipped)}, "
            "which has both."
        )
    else:
        folder = _download(checkpoint.name, checkpoint.revision, [*_SHAPE, *_WEIGHTS] if weights else _SHAPE, download)
        commit = folder.name  # the hub's cache names a snapshot's folder by its commit
    if weights and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"model '{checkpoint.name}': {folder} holds no .safetensors weights (pickled weights are never read). "
            "Convert them with transformers' save_pretrained, and give that folder."
        )
    fingerprint = _fingerprint(folder, weights)
    return folder, ModelInfo(source=checkpoint.name, commit=commit, fingerprint=fingerprint, pretrained=weights)


def _config_in(folder: Path, name: str) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise UserError(f"model '{name}': there is no folder {folder}. Say where it lies with --model {name}=PATH.")
    config = read_json(folder / "config.json")
    if config is None or "model_type" not in config:
        raise UserError(
            f"model folder {folder}: it holds no model (no config.json with a model_type). "
            "Give a folder made by save_pretrained."
        )
    return config


def _checked(config: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    if family_of(config["model_type"]) is None:
        known = ", ".join(sorted(kind for family in families().values() for kind in family.model_types))
        raise UserError(f"{place}: model_type '{config['model_type']}' belongs to no family here. Known: {known}.")
    return config


def _cached_config(name: str, revision: str | None) -> Mapping[str, Any]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        path = hf_hub_download(name, "config.json", revision=revision)
    except (RepositoryNotFoundError, HFValidationError) as error:
        known = ", ".join(sorted(shape for family in families().values() for shape in family.shapes))
        raise UserError(
            f"model '{name}': no local folder and no model of the hub has this name. "
            f"Give a folder, a hub id, a shipped backbone ({', '.join(embedded.backbones())}), or one whose shape is "
            f"known offline: {known}."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"model '{name}': it is not on this machine and the hub cannot be reached. {_WAYS_OUT}"
        ) from error
    config = read_json(Path(path))
    if config is None or "model_type" not in config:
        raise UserError(f"model '{name}': its config.json names no model_type, so no family can load it.")
    return config


def _download(name: str, revision: str | None, files: Sequence[str], download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=list(files), local_files_only=not download)
        return Path(folder)
    except RepositoryNotFoundError as error:
        raise UserError(f"model '{name}': the hub has no model of this name (or it is private).") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"model '{name}': it is not on this machine and the hub cannot be reached. {_WAYS_OUT}"
        ) from error


def _fingerprint(folder: Path, weights: bool) -> str:
    """SHA-256 over the configuration and tokenizer of a folder, and all its weights if they count."""
    patterns = ["config.json", *_TOKENIZER, *(_WEIGHTS if weights else ())]
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return _digest(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths))


@functools.cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Of files as they stand: size and time are there so that a changed file is read again."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
