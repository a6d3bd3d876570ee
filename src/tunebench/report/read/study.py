"""Reads a study's output folder: its plan, its text, and the results so far."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from tunebench._util.errors import UserError
from tunebench._util.files import read_json
from tunebench.records import (
    Failed,
    Plan,
    PlannedRun,
    Result,
    Retimed,
    SearchedTechnique,
    SearchRecord,
    SettledEpochs,
    read_epochs,
    read_result,
    read_retimed,
    read_search,
)
from tunebench.report import text

_STATUSES = ("done", "failed", "stopped", "skipped", "not_applicable", "paused", "pending")


@dataclass(frozen=True)
class RunResult:
    """A planned run with its result, or None while it is pending."""

    plan: PlannedRun
    result: Result | None

    @property
    def status(self) -> str:
        """The result's status, how it was ended by hand, or pending."""
        by_hand = self.result.by_hand if isinstance(self.result, Failed) else None
        return by_hand or (self.result.status if self.result else "pending")

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
    retimed: Retimed | None = None
    search: SearchRecord | None = None
    epochs: tuple[SettledEpochs, ...] = ()

    def searched(self, model: str, task: str) -> tuple[SearchedTechnique, ...]:
        """The techniques of a comparison whose settings were searched."""
        techniques = self.search.techniques if self.search else ()
        return tuple(one for one in techniques if (one.model, one.task) == (model, task))

    def settled(self, model: str, task: str) -> tuple[SettledEpochs, ...]:
        """How the epochs of a comparison's techniques were settled, where the study says `epochs: auto`."""
        names = {run.technique for run in self.plan.runs if (run.model, run.task) == (model, task)}
        return tuple(one for one in self.epochs if (one.model, one.task) == (model, task) and one.technique in names)

    def priced(self, per_hour: float | None) -> "StudyResults":
        """With this price of the machine in place of the study's; None: with the study's."""
        if per_hour is None:
            return self
        return replace(self, plan=self.plan.model_copy(update={"price_per_hour": per_hour}))

    @property
    def budget(self) -> str:
        """What each technique's search may cost, in words."""
        budget = self.search.budget if self.search else {}
        if budget.get("trials"):
            return text.plural(budget["trials"], "trial")
        return f"{budget.get('seconds', 0):g} seconds of trials"

    @property
    def progress(self) -> str:
        """How many runs the study has, and how they ended."""
        counts = Counter(run.status for run in self.runs)
        ends = [status for status in _STATUSES if counts[status]]
        shown = ", ".join(f"{counts[status]} {status.replace('_', ' ')}" for status in ends)
        return f"{text.plural(len(self.runs), 'run')}: {shown}."


def read_study(out: Path) -> StudyResults:
    """Read a study's output folder. Only the plan's runs count; a result that cannot be read is pending.

    Raises:
        UserError: the folder holds no plan, or one that this version cannot read.
    """
    path = out / "plan.json"
    content = read_json(path)
    if content is None:
        state = "cannot be read" if path.exists() else "is missing"
        raise UserError(f"{out}: no study here, plan.json {state}. Give an output folder of 'tunebench run'.")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path}: {place}: {first['msg']}. Another version wrote it: run 'tunebench run' on this folder again."
        ) from error
    study = out / "study.yaml"
    content = study.read_text(encoding="utf-8", errors="replace") if study.exists() else "study.yaml is missing"
    once = {run.id: run for run in plan.runs}  # two experiments may contain the same run, which is made once
    runs = tuple(RunResult(run, _result_of(out, run)) for run in once.values())
    epochs = read_epochs(out)
    settled = epochs.techniques if epochs else ()
    return StudyResults(out, plan, content, runs, read_retimed(out), read_search(out), settled)


def _result_of(out: Path, run: PlannedRun) -> Result | None:
    """The run's result; None where there is none, or it is of another run."""
    result = read_result(out / "runs" / run.id)
    return result if result is not None and result.run.id == run.id else None
