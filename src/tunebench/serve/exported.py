"""A tuned model as an ordinary transformers folder, which is written only where it answers as the run's model does."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from tunebench._util.errors import UserError, unwritable
from tunebench._util.files import ordinary_permissions
from tunebench.engine.agreement import disagreement, logits_of
from tunebench.objectives.base import Features, Objective
from tunebench.techniques.base import Technique


def write(folder: Path, model: Any, technique: Technique, objective: Objective, sample: Features, text: str) -> None:
    """Merge a technique into its model and write it with tokenizer and card; the model is changed by that.

    Args:
        folder: absent, or empty.
        model: the tuned one, in evaluation mode.
        technique: merges it.
        objective: how the task is posed to it.
        sample: texts on which the folder's model must have the tuned model's logits.
        text: of the card.

    Raises:
        UserError: the technique cannot be merged, or the folder's model answers otherwise; the folder stays as it was.
    """
    texts = range(len(sample))
    before = logits_of(model, objective, sample, texts)
    merged: Any = technique.merged(model)
    with whole(folder) as new:
        merged.save_pretrained(new)
        objective.tokenizer.save_pretrained(new)
        (new / "README.md").write_text(text, "utf-8")
        ordinary_permissions(*new.iterdir())
        plain = type(merged).from_pretrained(new, dtype=torch.float32, use_safetensors=True, local_files_only=True)
        gap = disagreement(plain, before, logits_of(plain, objective, sample, texts))
        if gap is not None:
            raise UserError(
                f"export {folder}: nothing was written, as the exported model is not the run's: its logits differ by "
                f"up to {gap:.2g}. Use 'tunebench predict', or the run's adapter folder with PEFT."
            )


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A new folder that takes its name when the block ends, and is removed where the block fails.

    Raises:
        UserError: the disk is full, or the folder cannot be written.
    """
    new = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        new.mkdir(parents=True)
        yield new
        if folder.exists():
            folder.rmdir()  # empty, as was checked
        new.replace(folder)
    except (OSError, SafetensorError) as error:
        disk = unwritable(error)
        if disk is None:
            raise
        raise UserError(
            f"export {folder}: nothing was written ({disk.strerror}). Free some room, or choose another folder."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
