"""The runs' answers on the test split."""

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from tunebench.records import PREDICTIONS, Done
from tunebench.report.read.comparisons import Comparison

Answers = tuple[list[Any], list[Any]]
"""Predictions and references of a test split."""


def read_answers(folder: Path, run: str, digest: str | None = None) -> Answers | None:
    """A run's answers from its predictions.jsonl; None if that is missing or damaged.

    Args:
        folder: the study's output folder.
        run: its id.
        digest: the file's SHA-256 that the run's result recorded; None where it recorded none.
    """
    return read_predictions(folder, run, digest)[0]


def read_predictions(
    folder: Path, run: str, digest: str | None = None
) -> tuple[Answers | None, list[str] | None, list[int] | None]:
    """`read_answers`, the inputs, and the number of each example's group; None where the file lacks them."""
    rows = _rows(folder, run, digest)
    answers = _answers(rows)
    return (None, None, None) if answers is None else (answers, _inputs(rows), _groups(rows))


def _answers(rows: list[Any] | None) -> Answers | None:
    try:
        answers = [row["prediction"] for row in rows or ()], [row["reference"] for row in rows or ()]
    except (KeyError, TypeError):
        return None
    return answers if rows is not None and all(_uniform(column) for column in answers) else None


def _inputs(rows: list[Any] | None) -> list[str] | None:
    known = [row["input"] for row in rows or () if isinstance(row.get("input"), str)]
    return known if rows is not None and len(known) == len(rows) else None


def _groups(rows: list[Any] | None) -> list[int] | None:
    if not rows or type(rows[0].get("group")) is not int:
        return None
    groups = [row["group"] for row in rows if type(row.get("group")) is int]
    return groups if len(groups) == len(rows) else None


def _rows(folder: Path, run: str, digest: str | None) -> list[Any] | None:
    try:
        content = (folder / "runs" / run / PREDICTIONS).read_bytes()
        if digest is not None and hashlib.sha256(content).hexdigest() != digest:
            return None
        # As bytes: a text may hold characters that Python, but not JSON lines, takes for the end of a line.
        return [from_json(line) for line in content.split(b"\n") if line]  # a third of the time of json.loads
    except (OSError, ValueError):
        return None


def _uniform(column: list[Any]) -> bool:
    """Whether all answers are texts, or all numbers, or all lists of one of these, or all likelihoods by name."""
    kinds = {*map(type, column)}
    if kinds == {dict}:
        return all(value.keys() == column[0].keys() and _uniform([*value.values()]) for value in column)
    if kinds == {list}:
        within = {*map(type, itertools.chain.from_iterable(column))}
        return _one_kind(within) or all(_uniform(value) for value in column if value)
    return _one_kind(kinds)


def _one_kind(types: set[type]) -> bool:
    return types == {str} or (bool(types) and types <= {bool, int, float})


def recorded_digest(done: Done) -> str | None:
    """The digest that a result recorded of its answers."""
    return done.files.get(PREDICTIONS)


@dataclass(frozen=True)
class Given:
    """What the runs of a comparison answered.

    Attributes:
        answers: by run id; None where a file cannot be read.
        inputs: one text per test example, from the first run that has them.
        groups: a number for each test example, likewise; examples of one group depend on each other.
    """

    answers: dict[str, Answers | None]
    inputs: list[str] | None
    groups: list[int] | None


def read_all(folder: Path, comparison: Comparison) -> Given:
    """The answers of a comparison; each file is read once."""
    answers: dict[str, Answers | None] = {}
    inputs, groups = None, None
    for done in (result for row in comparison.rows for result in row.done):
        rows = _rows(folder, done.run.id, recorded_digest(done))
        answers[done.run.id] = _answers(rows)
        if answers[done.run.id] is not None:
            inputs, groups = inputs or _inputs(rows), groups or _groups(rows)
    return Given(answers, inputs, groups)
