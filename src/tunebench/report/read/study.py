"""What a study's output folder says: its plan, its text, and the results there are so far."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from tunebench._util.errors import UserError
from tunebench.records import Plan, PlannedRun, Result, read_json, read_result


@dataclass(frozen=True)
class RunResult:
    """A planned run with its result; None is pending."""

    plan: PlannedRun
    result: Result | None

    @property
    def status(self) -> str:
        """The result's status, or pending."""
        return self.result.status if self.result else "pending"

    @property
    def name(self) -> str:
        """The run in words."""
        return f"{self.plan.model} / {self.plan.task} / {self.plan.label}, seed {self.plan.seed}"


@dataclass(frozen=True)
class StudyResults:
    """Everything the report is made of."""

    folder: Path
    plan: Plan
    text: str
    runs: tuple[RunResult, ...]


Answers = tuple[list[Any], list[Any]]
"""Predictions and references of a test split."""


def read_answers(folder: Path, run: str) -> Answers | None:
    """What a run of a study's folder answered, from predictions.jsonl; None where that is missing or damaged."""
    return read_predictions(folder, run)[0]


def read_predictions(folder: Path, run: str) -> tuple[Answers | None, list[str] | None]:
    """`read_answers`, and what the run was asked, one text a test example; None where the file does not say it."""
    try:
        # As bytes: a text may hold characters that Python, but not JSON lines, takes for the end of a line.
        lines = (folder / "runs" / run / "predictions.jsonl").read_bytes().split(b"\n")
        rows = [from_json(line) for line in lines if line]  # a third of the time of json.loads
        answers = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    return answers, [row["input"] for row in rows] if all("input" in row for row in rows) else None


def read_study(out: Path) -> StudyResults:
    """Read a study's output folder. Only the plan's runs count; a result that cannot be read is pending.

    Raises:
        UserError: the folder holds no plan, or one that this version cannot read.
    """
    path = out / "plan.json"
    content = read_json(path)
    if content is None:
        state = "cannot be read" if path.exists() else "is missing"
        raise UserError(f"{out}: no study here, plan.json {state}. Give the folder that 'tunebench run' wrote to.")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path}: {place}: {first['msg']}. Another version wrote it: run 'tunebench run' on this folder again."
        ) from error
    study = out / "study.yaml"
    text = study.read_text(encoding="utf-8", errors="replace") if study.exists() else "study.yaml is missing"
    once = {run.id: run for run in plan.runs}  # two experiments may name the same run: it was measured once
    return StudyResults(
        out, plan, text, tuple(RunResult(run, read_result(out / "runs" / run.id)) for run in once.values())
    )
