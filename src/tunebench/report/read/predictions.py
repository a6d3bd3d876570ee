"""The runs' answers on the test split."""

from pathlib import Path
from typing import Any

from pydantic_core import from_json

from tunebench.report.read.comparisons import Comparison

Answers = tuple[list[Any], list[Any]]
"""Predictions and references of a test split."""


def read_answers(folder: Path, run: str) -> Answers | None:
    """A run's answers from its predictions.jsonl; None if that is missing or damaged."""
    return read_predictions(folder, run)[0]


def read_predictions(folder: Path, run: str) -> tuple[Answers | None, list[str] | None]:
    """`read_answers`, and the inputs, one text per test example; None if the file lacks them."""
    try:
        # As bytes: a text may hold characters that Python, but not JSON lines, takes for the end of a line.
        lines = (folder / "runs" / run / "predictions.jsonl").read_bytes().split(b"\n")
        rows = [from_json(line) for line in lines if line]  # a third of the time of json.loads
        answers = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    return answers, [row["input"] for row in rows] if all("input" in row for row in rows) else None


def read_all(folder: Path, comparison: Comparison) -> tuple[dict[str, Answers | None], list[str] | None]:
    """The answers of a comparison by run id, and the inputs from the first run that has them."""
    answers: dict[str, Answers | None] = {}
    inputs = None
    for run in (result.run.id for row in comparison.rows for result in row.done):
        answers[run], asked = read_predictions(folder, run)
        inputs = inputs or asked
    return answers, inputs
