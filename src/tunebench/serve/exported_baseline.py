"""A fitted baseline as a folder that answers without tunebench; it is written only where it answers as the run does."""

import importlib.util
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tunebench._util.errors import UserError, brief, unwritable
from tunebench._util.files import ordinary_permissions
from tunebench._util.words import listed
from tunebench.records import PREDICTIONS, Done
from tunebench.run.card import Use, card
from tunebench.serve.exported import whole
from tunebench.study import Run
from tunebench.techniques import _standalone

_TOLERANCE = 1e-4
"""Of probabilities, and of scores relative to their size; one text at a time is not computed as a batch is."""
_PACKAGES = {
    "terms": ["numpy", "safetensors"],
    "vectors": ["numpy", "safetensors", "torch", "transformers"],
    "tags": ["python-crfsuite"],
}


@dataclass(frozen=True)
class Fitted:
    """A baseline of a finished run.

    Attributes:
        run: its definition.
        done: its record.
        folder: of the run.
        settings: of `Baseline.standalone`, and what its kind needs of the model.
        encoder: the folder of the model's files; None where none is asked.
        tokenizer: of the model.
    """

    run: Run
    done: Done
    folder: Path
    settings: dict[str, Any]
    encoder: Path | None = None
    tokenizer: Any = None


def write(folder: Path, fitted: Fitted, texts: Sequence[str], pairs: Sequence[str] | None, answers: list[Any]) -> None:
    """Write what it learned, the file that answers, the model that it asks, and a card.

    Args:
        folder: absent, or empty.
        fitted: the baseline.
        texts: a sample.
        pairs: the second texts, where the task has some.
        answers: the run's, which the folder must give as well.

    Raises:
        UserError: the folder cannot be written, or answers otherwise; it stays as it was.
    """
    with whole(folder) as new:
        for name in fitted.done.files:
            if name != PREDICTIONS:
                shutil.copyfile(fitted.folder / name, new / name)
        shutil.copyfile(str(_standalone.__file__), new / "answers.py")
        settings = {**fitted.settings, "form": fitted.run.task.form, "labels": fitted.done.data.labels}
        (new / "baseline.json").write_text(json.dumps(settings, ensure_ascii=False, indent=1) + "\n", "utf-8")
        text = card(fitted.run, fitted.done, _use(fitted, pairs is not None), fitted.encoder)
        (new / "README.md").write_text(text, "utf-8")
        if fitted.encoder is not None:
            _copy_encoder(fitted, new / "encoder")
        if not _agree(answers, _answers_of(new, folder, texts, pairs)):
            raise UserError(
                f"export {folder}: nothing was written, as the exported baseline does not answer as the run does. "
                "Answer with 'tunebench predict'."
            )


def _copy_encoder(fitted: Fitted, folder: Path) -> None:
    assert fitted.encoder is not None
    folder.mkdir()
    for path in sorted(fitted.encoder.iterdir()):
        if path.name == "config.json" or path.name.endswith((".safetensors", ".safetensors.index.json")):
            shutil.copyfile(path, folder / path.name)
    fitted.tokenizer.save_pretrained(folder)
    ordinary_permissions(*folder.iterdir())


def _answers_of(new: Path, folder: Path, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Any]:
    """What the folder answers when it is loaded as a user loads it."""
    spec = importlib.util.spec_from_file_location("answers", new / "answers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return module.load(new).predict(texts, pairs)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        if unwritable(error):
            raise
        raise UserError(
            f"export {folder}: nothing was written, as the exported baseline cannot be loaded ({brief(error)}). "
            "Answer with 'tunebench predict'."
        ) from error


def _agree(ours: Any, theirs: Any) -> bool:
    """Whether answers are the same; a label is the likeliest one, so its probability is compared."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = ours.keys() - ({"text", "tokens", "label", "labels"} if "scores" in ours or "score" in ours else set())
        return names <= theirs.keys() and all(_agree(ours[name], theirs[name]) for name in names)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_agree, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return ours == theirs


def _use(fitted: Fitted, pairs: bool) -> Use:
    needs = listed(_PACKAGES[fitted.settings["kind"]])
    second = ', ["the second text"]' if pairs else ""
    what = f"A fitted baseline: `answers.py` answers without tunebench. It needs {needs}."
    code = [
        "from answers import load  # in this folder",
        "",
        'baseline = load(".")',
        f'answers = baseline.predict(["a text"]{second})',
    ]
    return Use(what, code)
