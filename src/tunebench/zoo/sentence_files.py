"""The files in which a checkpoint of sentence-transformers says how it makes the vector of a text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError

MODULES = "modules.json"
_PROMPTS = "config_sentence_transformers.json"


@dataclass(frozen=True)
class SentenceFiles:
    """What the sentence-transformers files of a checkpoint say of the vector of a text.

    Attributes:
        pooling: `cls`, `mean`, `lasttoken` or another of that library's modes; several are joined with a plus sign.
        others: modules besides encoder, pooling and scaling to length 1, such as a dense layer.
        prompt: what that library writes before each text unless it is told otherwise; empty where there is nothing.
    """

    pooling: str
    others: tuple[str, ...]
    prompt: str = ""


def sentence_files(folder: Path) -> SentenceFiles | None:
    """What `modules.json` and the configuration of its pooling say; None where there are none.

    Raises:
        UserError: they cannot be read.
    """
    path = folder / MODULES
    if not path.is_file():
        return None
    try:
        listed = json.loads(path.read_bytes())
        if not isinstance(listed, list):
            raise ValueError("no list of modules")
        modules = [(module["type"].rpartition(".")[2], module["path"]) for module in listed]
        pooling = dict(modules).get("Pooling")
        if pooling is None:
            return None
        modes = _modes(json.loads((folder / Path(pooling).name / "config.json").read_bytes()))
        prompt = _prompt(folder / _PROMPTS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"model folder {folder}: its sentence-transformers files cannot be read ({path.name}: {error}). "
            "Mend them, or remove modules.json."
        ) from error
    others = tuple(kind for kind, _ in modules if kind not in ("Transformer", "Pooling", "Normalize"))
    return SentenceFiles("+".join(modes), others, prompt)


def _prompt(path: Path) -> str:
    """The default prompt; older checkpoints have no such file, most name none in it."""
    config = json.loads(path.read_bytes()) if path.is_file() else {}
    chosen = config.get("default_prompt_name")
    return str(config["prompts"][chosen]) if chosen is not None else ""


def _modes(config: Mapping[str, Any]) -> list[str]:
    """The modes of a pooling; older files have a switch for each."""
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        return [modes] if isinstance(modes, str) else [str(mode) for mode in modes]
    prefix = "pooling_mode_"
    on = [name.removeprefix(prefix) for name, value in config.items() if name.startswith(prefix) and value is True]
    return [{"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}.get(mode, mode) for mode in on] or ["mean"]
