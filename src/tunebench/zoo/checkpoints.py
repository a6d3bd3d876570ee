"""Finds a model by name: a local folder, the hub, or a shape that is known offline."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, shown
from tunebench._util.files import absolute, is_folder, read_json
from tunebench.families import families, family_of
from tunebench.families.base import Family
from tunebench.records import ModelInfo
from tunebench.zoo import embedded
from tunebench.zoo.sentence_files import MODULES

_SHAPE = ["*.json", "*.txt", "*.model"]  # configuration and tokenizer
_WEIGHTS = ["*.safetensors"]  # never pickled ones
_TOKENIZER = ["tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"]
_ADAPTER = "adapter_config.json"
_WAYS_OUT = "Give a local folder (--model NAME=PATH), or run once with network access to download it."


@dataclass(frozen=True)
class Checkpoint:
    """A model that a study names.

    Attributes:
        name: as written in the study.
        revision: a branch, tag or commit of the hub, or None.
        folder: the local folder of its files, or None if they are on the hub.
        config: the content of its `config.json`.
        pretrained: whether it has weights; some names are shapes only.
    """

    name: str
    revision: str | None
    folder: Path | None
    config: Mapping[str, Any]
    pretrained: bool = True

    @property
    def family(self) -> Family:
        """The family that loads it."""
        family = family_of(self.config)
        assert family is not None, "find() refuses unknown model types"
        return family


def find(name: str, revision: str | None = None, place: str | None = None) -> Checkpoint:
    """A model's checkpoint, without torch. Only the configuration of an unknown hub id needs the network.

    Searched in order: the folder `place`, shipped backbones, local folders, the known shapes, the hub and its cache.

    Raises:
        UserError: the folder holds no model, no family supports the model, or its configuration is unavailable.
    """
    shipped = embedded.backbones().get(name)
    folder = Path(absolute(place or shipped or name))
    if place or shipped or is_folder(folder):
        pretrained = bool(place) or shipped is None or any(shipped.glob("*.safetensors"))
        return Checkpoint(name, None, folder, _checked(_config_in(folder, name), f"model folder {folder}"), pretrained)
    family = next((family for family in families().values() if name in family.shapes), None)
    if family is not None:
        return Checkpoint(name, revision, None, family.shapes[name], family.on_the_hub)
    cached = _cached_config(name, revision)
    return Checkpoint(name, revision, None, _checked(cached, f"model '{name}'"))


def fetch(checkpoint: Checkpoint, weights: bool = True, download: bool = True) -> tuple[Path, ModelInfo]:
    """The folder with a checkpoint's files, downloaded if needed (`HF_HUB_OFFLINE` is respected), and its fingerprint.

    Without `weights` only configuration and tokenizer are downloaded, read and fingerprinted. Without `download` only
    local files are used.

    Raises:
        UserError: the model does not exist or is unavailable offline, or it has no safetensors weights.
    """
    folder, commit = _files(checkpoint, weights, download)
    fingerprint = _fingerprint(folder, weights)
    return folder, ModelInfo(source=checkpoint.name, commit=commit, fingerprint=fingerprint, pretrained=weights)


def _files(checkpoint: Checkpoint, weights: bool, download: bool) -> tuple[Path, str | None]:
    """The folder and the commit of a checkpoint's files."""
    if checkpoint.folder is not None:
        folder, commit = checkpoint.folder, None
    elif not checkpoint.pretrained:
        shipped = [name for name in embedded.backbones() if find(name).family is checkpoint.family]
        raise UserError(
            f"model '{checkpoint.name}': only its shape is known, and it has no tokenizer. Give a folder "
            f"with config.json and a tokenizer (--model {checkpoint.name}=PATH), or use {' or '.join(shipped)}, "
            "which has both."
        )
    else:
        folder = _download(checkpoint.name, checkpoint.revision, [*_SHAPE, *_WEIGHTS] if weights else _SHAPE, download)
        commit = folder.name  # in the hub's cache a snapshot's folder is named after its commit
    if weights:
        refuse_without_weights(checkpoint.name, folder)
    return folder, commit


def gather(checkpoint: Checkpoint, weights: bool) -> None:
    """Download what `fetch` will read, if it is not here; nothing is hashed, and no network is asked for what is here.

    Raises:
        UserError: as `fetch`.
    """
    if checkpoint.folder is None and checkpoint.pretrained:
        try:
            here = _download(checkpoint.name, checkpoint.revision, _SHAPE, download=False)
        except UserError:
            here = None
        wanted = [_TOKENIZER, _WEIGHTS] if weights else [_TOKENIZER]
        if here is not None and all(any(next(here.glob(p), None) for p in patterns) for patterns in wanted):
            return
    folder, _ = _files(checkpoint, weights, download=True)
    if not any(next(folder.glob(name), None) for name in _TOKENIZER):
        raise UserError(
            f"model '{checkpoint.name}': {folder} has no tokenizer. Save it there with tokenizer.save_pretrained."
        )


def refuse_without_weights(name: str, folder: Path) -> None:
    """Refuse a folder without weights, or with those of an adapter beside them, which transformers would add to them.

    Raises:
        UserError: the folder is one of these.
    """
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"model '{name}': {folder} has no .safetensors weights (pickled weights are never read). "
            "Convert them with transformers' save_pretrained, and give the new folder."
        )
    if (folder / _ADAPTER).exists():
        raise UserError(
            f"model folder {folder}: {_ADAPTER} is beside the weights, which may contain the adapter already. If they "
            "do, remove the adapter's files; if not, merge it with PEFT's merge_and_unload and save_pretrained."
        )


def _config_in(folder: Path, name: str) -> Mapping[str, Any]:
    if not is_folder(folder):
        raise UserError(
            f"model '{shown(name)}': there is no folder {folder}. Give its location with --model {name}=PATH."
        )
    config = read_json(folder / "config.json")
    if config is None and (folder / _ADAPTER).exists():
        raise UserError(
            f"model folder {folder}: it contains an adapter ({_ADAPTER}) without its model. Merge it with PEFT's "
            "merge_and_unload, and give the folder that save_pretrained makes of it."
        )
    if config is None or "model_type" not in config:
        raise UserError(
            f"model folder {folder}: it contains no model (no config.json with a model_type). "
            "Give a folder made by save_pretrained."
        )
    return config


def _checked(config: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    if family_of(config) is None:
        from tunebench.families.structure.types import why_not

        kind = shown(config["model_type"])
        raise UserError(
            f"{place}: model_type '{kind}' is not supported: {why_not(config['model_type'])}. "
            "docs/families/types.md lists those that are."
        )
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
            f"model '{name}': neither a local folder nor a model on the hub has this name. "
            f"Give a folder, a hub id, a shipped backbone ({', '.join(embedded.backbones())}), or a model whose shape "
            f"is known offline: {known}."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"model '{name}': it is not on this machine, and the hub cannot be reached. {_WAYS_OUT}"
        ) from error
    config = read_json(Path(path))
    if config is None or "model_type" not in config:
        raise UserError(f"model '{name}': its config.json has no model_type, so no family can load it.")
    return config


def _download(name: str, revision: str | None, files: Sequence[str], download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=list(files), local_files_only=not download)
        return Path(folder)
    except RepositoryNotFoundError as error:
        raise UserError(f"model '{name}': the hub has no model of this name, or it is private.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"model '{name}': it is not on this machine, and the hub cannot be reached. {_WAYS_OUT}"
        ) from error


def _fingerprint(folder: Path, weights: bool) -> str:
    """SHA-256 over the configuration, pooling and tokenizer in a folder, and with `weights` over its weights."""
    patterns = ["config.json", MODULES, "*_Pooling/config.json", *_TOKENIZER, *(_WEIGHTS if weights else ())]
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return _digest(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths))


@functools.cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """The digest of files; their sizes and times are part of the cache's key, so that a changed file is read again."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
