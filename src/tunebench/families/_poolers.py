"""Poolers that a checkpoint lacks, or has never trained."""

from __future__ import annotations

from pathlib import Path

from tunebench._util.errors import UserError


def fresh(folder: Path) -> tuple[str, ...]:
    """The pooler, where the checkpoint has none (no next-sentence prediction) or one that was never trained.

    A frozen random pooler would withhold information from every technique that does not train it. Training never
    leaves a bias at exactly zero, its initial value; a bias of zeros therefore shows a pooler that was never trained
    (sentence-transformers pool otherwise, and keep such a pooler in their files).

    Raises:
        UserError: the weights cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:  # NumPy knows no bf16
                biases = [name for name in file.keys() if "pooler." in name and name.endswith(".bias")]  # noqa: SIM118
                if biases and file.get_tensor(biases[0]).any():
                    return ()
        except (OSError, SafetensorError) as error:
            raise UserError(f"model folder {folder}: {path.name} cannot be read ({error}).") from error
    return ("pooler",)
