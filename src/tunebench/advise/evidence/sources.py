"""The data sets, techniques and rates of the evidence base that ships, as studies."""

import itertools
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from tunebench._util.base import Strict
from tunebench._util.errors import UserError
from tunebench.study import Study
from tunebench.techniques import techniques
from tunebench.techniques._peft import ROLES
from tunebench.techniques.base import Trained

FACTORS = (1, 3, 10)
"""Of a technique's default rate."""
SEEDS = (0, 1)
TRAINING = {"epochs": 5, "patience": 5}
"""Without early stopping, so that every curve is whole."""
ROWS = {"validation": 300, "test": 500}
TOKENS = {"question_answering": 256}
"""Longest inputs by objective; those of others are cut at 96."""

ROUNDS: tuple[tuple[dict[str, Any], ...], ...] = (
    (
        {"name": "tfidf"},
        {"name": "embedding"},
        {"name": "classifier_head"},
        {"name": "full"},
        {"name": "lora", "targets": ROLES},
    ),
    ({"name": "bottleneck_adapter"}, {"name": "lora"}, {"name": "p_tuning_v2"}, {"name": "ia3"}, {"name": "freeze"}),
    (
        {"name": "llrd"},
        {"name": "prompt_tuning"},
        {"name": "prefix_tuning"},
        {"name": "dora"},
        {"name": "adalora"},
        {"name": "untuned"},
    ),
)
"""Techniques in the order in which they are made: the first ones on all data sets before the others."""


class DataSource(Strict):
    """A data set of the evidence base."""

    objective: str
    columns: dict[str, str] = {}
    related: str | None = None
    language: str
    source: str
    licence: str


def sources() -> dict[str, DataSource]:
    """Name -> data set."""
    text = (resources.files("tunebench.evidence") / "sources.yaml").read_text("utf-8")
    return {name: DataSource.model_validate(fields) for name, fields in yaml.safe_load(text).items()}


def studies(folder: Path, model: Any, rows: int) -> Iterator[tuple[str, Study]]:
    """A data set's name, and a study of one round's techniques on it with one seed; all data sets before the next one.

    Args:
        folder: of the data sets.
        model: as a study names it.
        rows: of the training split, at most.

    Raises:
        UserError: the folder holds none of the data sets.
    """
    present = {name: one for name, one in sources().items() if (folder / name / "train.parquet").is_file()}
    if not present:
        raise UserError(f"--data {folder}: it holds no folder of a data set, such as {next(iter(sources()))}.")
    for entries, seed in itertools.product(ROUNDS, SEEDS):
        for name, source in present.items():
            experiment = {
                "model": model,
                "task": _task(folder / name, name, source, rows),
                "techniques": [one for entry in entries for one in _rated(entry)],
            }
            yield (
                name,
                Study.model_validate(
                    {"name": name, "seeds": [seed], "training": TRAINING, "experiments": [experiment]}
                ),
            )


def _task(folder: Path, name: str, source: DataSource, rows: int) -> dict[str, Any]:
    return {
        "name": name,
        "objective": source.objective,
        "data": {split: str(folder / f"{split}.parquet") for split in ("train", "validation", "test")},
        "columns": source.columns,
        "labels": _labels(folder, source.objective),
        "rows": {"train": rows, **ROWS},
        "max_tokens": TOKENS.get(source.objective, 96),
    }


def _labels(folder: Path, objective: str) -> list[str]:
    """Of all splits: a small sample of the training rows lacks some."""
    column = {"sequence_classification": "label", "token_classification": "tags"}.get(objective)
    if column is None:
        return []
    values = [pq.read_table(path, columns=[column])[column] for path in sorted(folder.glob("*.parquet"))]
    rows = [row for split in values for row in split.to_pylist()]
    return sorted({tag for row in rows for tag in row} if column == "tags" else set(rows))


def _rated(entry: dict[str, Any]) -> list[dict[str, Any]]:
    cls = techniques()[entry["name"]]
    if not issubclass(cls, Trained):
        return [entry]
    default = cls.model_fields["learning_rate"].default
    return [{**entry, "learning_rate": min(1.0, float(f"{default * factor:.3g}"))} for factor in FACTORS]
