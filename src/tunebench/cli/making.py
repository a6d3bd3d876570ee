"""The runs of a study that have no result: planned, made and shown."""

from pathlib import Path
from typing import TYPE_CHECKING

from tunebench._util.words import plural
from tunebench.cli.options import OpenedStudy
from tunebench.cli.printing import say
from tunebench.cli.where import Opening

if TYPE_CHECKING:
    from tunebench.engine.events import Event
    from tunebench.records import Plan, PlannedCell, PlannedData
    from tunebench.run.executors.base import Executor
    from tunebench.run.forecast import Forecast
    from tunebench.run.job import Job
    from tunebench.run.survey import Survey
    from tunebench.run.task_data import TaskData
    from tunebench.study import Run


def make_pending(
    opened: OpenedStudy, data: "TaskData", target: Path, only: str | None, where: Opening, track: str | None
) -> bool:
    """Write the plan and make the runs that have no result; says whether Ctrl-C came first."""
    from tunebench.run.folder import planned_in, write_plan
    from tunebench.run.job import job_in
    from tunebench.run.pending import costliest_first, pending_runs

    runs, places = opened.runs, opened.places
    earlier = planned_in(target)
    pending, remarks = pending_runs(runs, places, target, only, data)
    if not pending and earlier is not None and _same_runs(opened, earlier):
        write_plan(target, opened.text, plan_of(opened, earlier.cells, earlier.data))  # without torch: seconds
        _say_what_comes(opened, target, 0, remarks)
        return False
    with where(target, len(pending)) as executor:
        from tunebench.run.plan import plan  # torch comes with it; the workers import theirs at the same time
        from tunebench.run.survey import models_here, survey

        chosen = [one.run for one in pending]
        surveyed = survey(chosen, data, earlier.data if earlier else (), download=True)
        cells = plan(runs, places, earlier.cells if earlier else (), surveyed)
        models_here(chosen, places, cells)
        write_plan(target, opened.text, plan_of(opened, cells, surveyed.records))
        _say_what_comes(opened, target, len(pending), remarks)
        ordered = pending if executor.room == 1 else costliest_first(pending, cells)
        jobs = [job_in(target, one, places, track) for one in ordered]
        forecast = _forecast(chosen, cells, surveyed, executor.room)
        return _execute(jobs, executor, forecast, target)


def _same_runs(opened: OpenedStudy, earlier: "Plan") -> bool:
    """Whether an earlier plan has just these runs under these labels, and so their cells."""
    return [(run.id, run.label) for run in opened.runs] == [(run.id, run.label) for run in earlier.runs]


def _say_what_comes(opened: OpenedStudy, target: Path, pending: int, remarks: list[str]) -> None:
    say(f"{plural(len(opened.runs), 'run')} in {target}, {pending} to make.")
    for remark in remarks:
        say(remark)


def plan_of(opened: OpenedStudy, cells: "tuple[PlannedCell, ...]", data: "tuple[PlannedData, ...]") -> "Plan":
    """The plan of a study, as this command makes it."""
    from tunebench.records import SCHEMA, Plan

    families = {cell.model: cell.family for cell in cells}
    return Plan(
        schema=SCHEMA,
        study=opened.study.name,
        command=opened.command,
        runs=tuple(run.planned(families[run.model]) for run in opened.runs),
        cells=cells,
        data=data,
        price_per_hour=opened.study.price_per_hour,
    )


def _forecast(runs: "list[Run]", cells: "tuple[PlannedCell, ...]", surveyed: "Survey", workers: int) -> "Forecast":
    from tunebench.run.forecast import Forecast, size_of

    cell_of = {(cell.model, cell.task, cell.label): cell for cell in cells}
    sizes = {
        run.id: size_of(
            cell_of.get((run.model, run.task.name, run.label)), surveyed.data(run.task), run.training.epochs
        )
        for run in runs
    }
    return Forecast(len(runs), max(workers, 1), sizes)


def _execute(jobs: "list[Job]", executor: "Executor", forecast: "Forecast", out: Path) -> bool:
    """Execute the jobs in their order and show their progress; says whether Ctrl-C came first."""
    from rich.console import Console

    from tunebench.cli.progress import display_on, name_of
    from tunebench.run.drive import drive
    from tunebench.run.scheduler import FixedList

    several_models = len({job.run.model for job in jobs}) > 1
    try:
        with display_on(Console(), len(jobs), forecast) as display:

            def show(job: "Job", event: "Event") -> None:
                display.show(job.run.id, name_of(job.run, several_models), event)

            drive(FixedList(jobs), executor, show, out)
    except KeyboardInterrupt:
        return True
    return False
