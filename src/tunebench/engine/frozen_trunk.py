"""Outputs of frozen stages: computed once, kept on disk and read in every epoch of every run that shares them.

The key is made of the backbone, the depth, the tokenised texts and the number format. Technique and seed are not part
of it, so seeds, learning rates and techniques share an entry, which says what computing it took: every run that reads
it is charged that, whoever computed it and whoever waited. The trunk runs without dropout whether its outputs are
kept or not. Kept outputs come from batches sorted by length, so their last bits can differ from those of a training
batch (a matrix product's rounding depends on its shape); the result carries a notice.
"""

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tunebench.engine.batching import plan_evaluation
from tunebench.engine.measure import Peaks, Spent
from tunebench.engine.sources import Batch, TokenSource
from tunebench.objectives.base import Features


@dataclass(frozen=True)
class Trunk:
    """The frozen part of a cut model.

    Attributes:
        compute: inputs -> states, without gradients, in the number format in which they are kept.
        identity: hash of backbone, depth and number format.
        one_vector: whether the head reads one vector per text, so that only this one is kept.
    """

    compute: Callable[[Batch], Tensor]
    identity: str
    one_vector: bool


@dataclass(frozen=True)
class KeptStates:
    """All states of a split.

    Attributes:
        states: (tokens, hidden) or (examples, hidden).
        cost: what computing them takes.
        peaks: of memory, of the run that computed them until it had.
        computed: whether this call computed them.
    """

    states: Tensor
    cost: Spent
    peaks: Peaks
    computed: bool


class TrunkCache:
    """A folder of kept states with a budget in bytes; the least recently used entries are deleted first."""

    def __init__(self, folder: Path, budget: float):
        self.folder, self.budget = folder, budget

    def states(
        self,
        trunk: Trunk,
        tokens: TokenSource,
        batch_tokens: int,
        on_batch: Callable[[int, int], None] = lambda done, total: None,
    ) -> KeptStates | None:
        """All states of a split; None if they would exceed the budget.

        An entry that is damaged, or does not say what it cost, is computed again. A full disk counts as a budget that
        is too small.
        """
        if self.budget <= 0:
            return None
        path = self.folder / f"{entry_key(trunk, tokens.features)}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):  # a second worker waits for the first one's result
                kept = _read(path)
                if kept is not None:
                    return kept
                start = Spent.now()
                states = self._compute(trunk, tokens, batch_tokens, on_batch)
                if states is None:
                    return None
                kept = KeptStates(states, Spent.now() - start, Peaks(), computed=True)
                return kept if self._write(path, kept) else None
        except OSError:
            return None

    def _compute(
        self, trunk: Trunk, tokens: TokenSource, batch_tokens: int, on_batch: Callable[[int, int], None]
    ) -> Tensor | None:
        features = tokens.features
        lengths = [1] * len(features) if trunk.one_vector else features.lengths
        ends = torch.tensor(lengths).cumsum(0).tolist()
        kept: Tensor | None = None
        plan = plan_evaluation(features.lengths, batch_tokens)
        for number, indices in enumerate(plan):
            batch = tokens.batch(indices)
            del batch["labels"]
            states = trunk.compute(batch).cpu()
            if kept is None:
                if ends[-1] * states.shape[-1] * states.element_size() > self.budget:
                    return None
                kept = states.new_empty(ends[-1], states.shape[-1])
            for row, index in zip(states, indices, strict=True):
                kept[ends[index] - lengths[index] : ends[index]] = row[: lengths[index]]
            on_batch(number + 1, len(plan))
        return kept

    def _write(self, path: Path, kept: KeptStates) -> bool:
        """Write an entry within the budget; returns whether the disk had room."""
        states = kept.states
        entries = sorted(self.folder.glob("*.safetensors"), key=lambda entry: entry.stat().st_mtime)
        used = sum(entry.stat().st_size for entry in entries)
        while entries and used + states.nbytes > self.budget:
            used -= entries[0].stat().st_size
            entries.pop(0).unlink()  # a process that has it mapped keeps it
        temporary = path.with_suffix(".tmp")
        try:
            numbers = asdict(kept.cost) | asdict(kept.peaks)
            about = {"crc32": str(_checksum(states))} | {name: json.dumps(value) for name, value in numbers.items()}
            save_file({"states": states}, temporary, metadata=about)
            temporary.replace(path)
        except (OSError, SafetensorError):
            temporary.unlink(missing_ok=True)
            return False
        return True


def entry_key(trunk: Trunk, features: Features) -> str:
    """Name of the entry for these texts."""
    digest = hashlib.sha256(trunk.identity.encode())
    for row in features.inputs:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]


def _read(path: Path) -> KeptStates | None:
    """The kept states, memory-mapped; None without any, if their checksum is wrong, or if their cost is unknown."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
        states = load_file(path)["states"]
        cost = Spent(json.loads(about["seconds"]), json.loads(about["cpu_seconds"]))
        peaks = Peaks(json.loads(about["memory"]), json.loads(about["gpu_memory"]))
    except (OSError, SafetensorError, KeyError):
        return None
    if str(_checksum(states)) != about.get("crc32"):
        return None
    path.touch()
    return KeptStates(states, cost, peaks, computed=False)


def _checksum(states: Tensor) -> int:
    return zlib.crc32(states.view(torch.uint8).numpy().data)
