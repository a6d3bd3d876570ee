"""Weights and training state on disk: safetensors and JSON, written atomically, checked when read."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunebench._util.files import differing, digests_of, link, ordinary_permissions, read_json

BEST = "best.safetensors"
FOLDED = "folded.safetensors"
"""The best weights without those that only training needs, if the technique has any."""
_TENSORS, _STATE = "tensors.safetensors", "state.json"


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """The weights that train, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write tensors atomically."""
    temporary = path.with_suffix(".tmp")
    try:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
        ordinary_permissions(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(model: nn.Module, path: Path) -> None:
    """Put saved weights into the model.

    Raises:
        ValueError: the file cannot be read, or its names or shapes are not the model's trainable ones.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: the weights cannot be read ({error})") from error
    _copy_into(trainable(model), weights, path)


def _copy_into(current: dict[str, Tensor], saved: dict[str, Tensor], path: Path) -> None:
    if current.keys() != saved.keys() or any(current[name].shape != saved[name].shape for name in current):
        raise ValueError(f"{path}: its tensors do not match the trainable parameters of this model")
    with torch.no_grad():
        for name, tensor in current.items():
            tensor.copy_(saved[name])


class Resume:
    """The `resume/` folder of a run: the newest state, from which training resumes bit for bit.

    Args:
        folder: holds the states.
        best: the file of the best epoch's weights, of which a state keeps its own: a second name, not a copy.
        inputs: identifies data and backbone; a state made from others is removed.

    Attributes:
        damaged: the states that `load` removed, as a file of theirs was missing or had another digest.
    """

    def __init__(self, folder: Path, best: Path, inputs: str):
        self.folder, self.best, self.inputs = folder, best, inputs
        self.damaged: list[str] = []

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any], extra: dict[str, Tensor]
    ) -> None:
        """Write weights, optimizer, loop and technique state; older states are deleted once it is complete."""
        # The state at the end of an epoch must not replace the one at its last step before it is complete.
        target = self.folder / f"step-{state['step']:08d}-{state.get('epoch', 0):04d}"
        partial = self.folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        tensors = {f"weights.{name}": tensor for name, tensor in trainable(model).items()}
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
        tensors |= {f"extra.{name}": tensor for name, tensor in extra.items()}
        save_weights(tensors, partial / _TENSORS)
        if state["best_epoch"] is not None:
            link(self.best, partial / BEST)
        content = {"state": state, "inputs": self.inputs, "files": digests_of(partial, partial.iterdir())}
        (partial / _STATE).write_text(json.dumps({**content, "sha256": _digest(content)}))
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
        for older in self._kept()[:-1]:
            shutil.rmtree(older, ignore_errors=True)

    def load(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, load_extra: Callable[[dict[str, Tensor]], None]
    ) -> dict[str, Any] | None:
        """Restore the newest intact state and return the loop's part; None without one."""
        for folder in reversed(self._kept()):
            content = _intact(folder)
            if content is None:
                self.damaged.append(folder.name)
            if content is None or content["inputs"] != self.inputs:
                shutil.rmtree(folder, ignore_errors=True)  # else it would outlive the states of fewer steps
                continue
            if (folder / BEST).exists():
                link(folder / BEST, self.best)  # which may be that of a later epoch
            path = folder / _TENSORS
            tensors = load_file(path)
            weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
            _copy_into(trainable(model), weights, path)
            kept: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith("optimizer."):
                    _, index, key = name.split(".")
                    kept.setdefault(int(index), {})[key] = tensor
            optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})
            load_extra({k.removeprefix("extra."): v for k, v in tensors.items() if k.startswith("extra.")})
            return dict(content["state"])
        return None

    def _kept(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


def _intact(folder: Path) -> dict[str, Any] | None:
    """What a state's file says; None unless it and all files of the state are as they were written."""
    content = dict(read_json(folder / _STATE) or {})
    if content.pop("sha256", None) != _digest(content) or differing(folder, content["files"]):
        return None
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
