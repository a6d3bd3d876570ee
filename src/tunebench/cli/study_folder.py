"""The runs of a study's folder: all of them, those of some cells, and the best of one cell."""

import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tunebench._util.errors import UserError, did_you_mean
from tunebench.records import Done, PlannedRun, Result, read_result
from tunebench.study import RUN_FILE


@dataclass(frozen=True)
class StudyRun:
    """A run of a study's folder.

    Attributes:
        plan: what it measures; its id is its folder's name.
        status: as in its result, or pending; `not planned`: the study does not have it any more.
        metric: the main metric's name; None without a result that has figures.
        value: of the main metric on the test split.
        validation: of the main metric on the validation split.
        higher_is_better: of the main metric.
        seconds: of the whole run.
        folder: where it lies.
    """

    plan: PlannedRun
    status: str
    metric: str | None
    value: float | None
    validation: float | None
    higher_is_better: bool | None
    seconds: float | None
    folder: str

    def matches(self, pattern: str) -> bool:
        """Whether a pattern of cells, or of folder names, covers it."""
        plan = self.plan
        ends = (plan.technique, plan.label)
        names = [f"{start}/{plan.task}/{end}" for start in (plan.family, plan.model) for end in ends]
        return any(fnmatch.fnmatchcase(name, pattern) for name in (*names, plan.id))

    def record(self) -> dict[str, Any]:
        """For programs: the plan's fields, its id as `run`, and these."""
        plan = self.plan.model_dump()
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "plan"}
        return {"run": plan.pop("id"), **plan, **own}


def runs_in(out: Path) -> list[StudyRun]:
    """The runs of the plan in its order, then those that the study does not have any more.

    Raises:
        UserError: the folder holds no study.
    """
    from tunebench.report.read.study import read_study

    planned = read_study(out).runs
    names = {run.plan.id for run in planned}
    folders = sorted((out / "runs").iterdir()) if (out / "runs").is_dir() else []
    others = [(folder, read_result(folder)) for folder in folders if _is_of_a_run(folder, names)]
    return [
        *(_run(out, run.plan, run.result, run.status) for run in planned),
        *(_run(out, _planned(folder, result), result, "not planned") for folder, result in others),
    ]


def _is_of_a_run(folder: Path, planned: set[str]) -> bool:
    """Whether the study may have had it; `.ipynb_checkpoints` and the like are others' folders."""
    return folder.is_dir() and not folder.name.startswith(".") and folder.name not in planned


def _planned(folder: Path, result: Result | None) -> PlannedRun:
    known = result.run.model_dump() if result is not None else dict.fromkeys(PlannedRun.model_fields, "?") | {"seed": 0}
    return PlannedRun.model_validate({**known, "id": folder.name})


def _run(out: Path, plan: PlannedRun, result: Result | None, status: str) -> StudyRun:
    done = result if isinstance(result, Done) else None
    return StudyRun(
        plan=plan,
        status=status,
        metric=done and done.main_metric.name,
        value=done and done.main_metric.value,
        validation=done and done.metrics.validation.get(done.main_metric.name),
        higher_is_better=done and done.main_metric.higher_is_better,
        seconds=done and done.cost.total_seconds,
        folder=str(out / "runs" / plan.id),
    )


def chosen(folder: Path, best: bool, technique: str | None, only: str | None) -> Path:
    """The folder of a run, or of the best run in a study's folder: best by the main metric on validation.

    Which run was chosen is said on standard error, as standard output is for answers.

    Args:
        folder: of a run, or of a study.
        best: choose among all techniques.
        technique: choose among its runs.
        only: choose among these cells.

    Raises:
        UserError: a study's folder without a choice, or no run to choose, or several cells.
    """
    asked = best or technique is not None or only is not None
    if not (folder / "plan.json").is_file() or (folder / RUN_FILE).is_file():
        if asked:
            raise UserError(f"{folder}: this is no study's folder, so --best, --technique and --only choose nothing.")
        return folder
    if not asked:
        raise UserError(f"{folder}: this is a study's folder. Add --best or --technique NAME, or give OUT/runs/<run>.")
    runs = [run for run in runs_in(folder) if run.status == "done"]
    if technique is not None:
        known = {name for run in runs for name in (run.plan.technique, run.plan.label)}
        if technique not in known:
            raise UserError(f"--technique {technique}: no finished run has it. {did_you_mean(technique, known)}")
        runs = [run for run in runs if technique in (run.plan.technique, run.plan.label)]
    best_run = _best(folder, [run for run in runs if only is None or run.matches(only)])
    sys.stderr.write(f"tunebench: run {best_run.plan.id}, validation {best_run.metric} {best_run.validation:.4f}\n")
    return Path(best_run.folder)


def _best(folder: Path, runs: Sequence[StudyRun]) -> StudyRun:
    cells = list(dict.fromkeys(f"{run.plan.model}/{run.plan.task}" for run in runs))
    if len(cells) > 1:
        named = ", ".join(cells[:6]) + (", ..." if len(cells) > 6 else "")
        raise UserError(f"{folder}: there are runs of several cells ({named}). Name one: --only '{cells[0]}/*'.")
    scored = [run for run in runs if run.validation is not None]
    if not scored:
        raise UserError(
            f"{folder}: no finished run with a validation score is among them. See 'tunebench runs {folder}'."
        )
    sign = 1 if scored[0].higher_is_better else -1
    return max(scored, key=lambda run: sign * (run.validation or 0.0))
