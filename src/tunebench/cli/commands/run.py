"""`tunebench run`: make the runs of a study and write its report."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.cli.leaderboards import print_leaderboards
from tunebench.cli.options import Data, DataRoot, Models, OpenedStudy, StudyName, opened_study
from tunebench.cli.printing import say
from tunebench.cli.searching import searched
from tunebench.cli.stopping import INTERRUPTED, stoppable

if TYPE_CHECKING:
    from tunebench.cli.forecast import Forecast
    from tunebench.engine.events import Event
    from tunebench.records import Plan, PlannedCell, PlannedData
    from tunebench.run.executors.base import Executor
    from tunebench.run.job import Job
    from tunebench.run.survey import Survey
    from tunebench.run.task_data import TaskData
    from tunebench.study import Run

_STOPPED = "Stopped. Finished runs are kept; the same command continues."

_TRACKERS = ("tensorboard", "wandb", "mlflow")


@stoppable(_STOPPED)
def run(
    study: StudyName,
    out: Annotated[Path | None, typer.Option(help="output folder; default: runs/<study>")] = None,
    only: Annotated[
        str | None, typer.Option(help="cells to run, FAMILY/TASK/TECHNIQUE with * (quote it): 'bert/emotion/*'")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="run seeds 0 to N-1 instead of the study's")
    ] = None,
    workers: Annotated[
        str, typer.Option(help="runs at once: a number, or auto (one per GPU, or one per core without GPUs)")
    ] = "1",
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
    track: Annotated[
        str | None, typer.Option(help="also log to tensorboard, wandb or mlflow (install tunebench[<name>])")
    ] = None,
) -> None:
    """Make all runs of a study that have no result yet, then write its report.

    Stop it at any moment: the same command continues. Exit code: 0 all done, 1 a run failed, 2 wrong use, 130 stopped.

    Example: tunebench run my-study.yaml --workers auto --only 'bert/emotion/*'
    """
    from tunebench import report as reports
    from tunebench.engine.energy import require_codecarbon
    from tunebench.run.folder import failed_runs, locked
    from tunebench.run.task_data import TaskData

    opened = opened_study(study, model, data_root, data, seeds)
    _check_tracker(track)
    if "energy" in opened.study.measure:
        require_codecarbon()
    count = _worker_count(workers)
    target = out or Path("runs") / opened.study.name
    seen = TaskData(opened.places)
    with locked(target):
        interrupted = False
        if opened.study.search is not None:
            _check(opened, seen, target)
            opened, interrupted = searched(opened, seen, target, only, count, track)
        interrupted = interrupted or _make_pending(opened, seen, target, only, count, track)
        say("Writing the report ...")
        with stoppable(f"Stopped. All finished runs are kept; 'tunebench report {target}' writes the report."):
            page, leaderboards = reports.build_with_leaderboards(target)
    print_leaderboards(leaderboards)
    if interrupted:
        say(f"{_STOPPED} Report so far: {page}")
        raise typer.Exit(INTERRUPTED)
    say(f"Report: {page}")
    failed = failed_runs(target, opened.runs)
    for name, reason in failed:
        say(f"failed: {name}: {reason}")
    if failed:
        say("The same command makes failed runs again; each run's error.txt has the details.")
        raise typer.Exit(1)


def _check(opened: OpenedStudy, data: "TaskData", target: Path) -> None:
    """Write the plan of the techniques with their default settings: a mistake is known before the search begins."""
    from tunebench.run.folder import planned_in, write_plan
    from tunebench.run.plan import plan
    from tunebench.run.survey import models_here, survey

    earlier = planned_in(target)
    surveyed = survey(opened.runs, data, earlier.data if earlier else ())
    cells = plan(opened.runs, opened.places, earlier.cells if earlier else (), surveyed)
    models_here(opened.runs, opened.places, cells)
    if earlier is None:
        write_plan(target, opened.text, _plan_of(opened, cells, surveyed.records))


def _make_pending(
    opened: OpenedStudy, data: "TaskData", target: Path, only: str | None, workers: int | None, track: str | None
) -> bool:
    """Write the plan and make the runs that have no result; says whether Ctrl-C came first."""
    from tunebench.run.executors.local import Local
    from tunebench.run.folder import planned_in, write_plan
    from tunebench.run.job import job_in
    from tunebench.run.pending import costliest_first, pending_runs

    runs, places = opened.runs, opened.places
    earlier = planned_in(target)
    pending, remarks = pending_runs(runs, places, target, only, data)
    with Local(target, len(pending), workers) as executor:
        from tunebench.run.plan import plan  # torch comes with it; the workers import theirs at the same time
        from tunebench.run.survey import models_here, survey

        chosen = [one.run for one in pending]
        surveyed = survey(chosen, data, earlier.data if earlier else ())
        cells = plan(runs, places, earlier.cells if earlier else (), surveyed)
        models_here(chosen, places, cells)
        write_plan(target, opened.text, _plan_of(opened, cells, surveyed.records))
        say(f"{plural(len(runs), 'run')} in {target}, {len(pending)} to make.")
        for remark in remarks:
            say(remark)
        ordered = pending if workers == 1 else costliest_first(pending, cells)
        jobs = [job_in(target, one, places, track) for one in ordered]
        return _execute(
            jobs, executor, _forecast(chosen, cells, surveyed, executor.room), len({r.model for r in runs}) > 1
        )


def _plan_of(opened: OpenedStudy, cells: "tuple[PlannedCell, ...]", data: "tuple[PlannedData, ...]") -> "Plan":
    from tunebench.records import SCHEMA, Plan

    families = {cell.model: cell.family for cell in cells}
    return Plan(
        schema=SCHEMA,
        study=opened.study.name,
        command=f"tunebench {shlex.join(sys.argv[1:])}",
        runs=tuple(run.planned(families[run.model]) for run in opened.runs),
        cells=cells,
        data=data,
        price_per_hour=opened.study.price_per_hour,
    )


def _forecast(runs: "list[Run]", cells: "tuple[PlannedCell, ...]", surveyed: "Survey", workers: int) -> "Forecast":
    from tunebench.cli.forecast import Forecast, size_of

    cell_of = {(cell.model, cell.task, cell.label): cell for cell in cells}
    sizes = {
        run.id: size_of(
            cell_of.get((run.model, run.task.name, run.label)), surveyed.data(run.task), run.training.epochs
        )
        for run in runs
    }
    return Forecast(len(runs), max(workers, 1), sizes)


def _execute(jobs: "list[Job]", executor: "Executor", forecast: "Forecast", several_models: bool) -> bool:
    """Execute the jobs in their order and show their progress; says whether Ctrl-C came first."""
    from rich.console import Console

    from tunebench.cli.progress import display_on, name_of
    from tunebench.run.drive import drive
    from tunebench.run.scheduler import FixedList

    try:
        with display_on(Console(), len(jobs), forecast) as display:

            def show(job: "Job", event: "Event") -> None:
                display.show(job.run.id, name_of(job.run, several_models), event)

            drive(FixedList(jobs), executor, show)
    except KeyboardInterrupt:
        return True
    return False


def _worker_count(value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"--workers {value}: give a number from 1 up, or auto.")
    return int(value)


def _check_tracker(track: str | None) -> None:
    from importlib.util import find_spec

    if track is not None and track not in _TRACKERS:
        raise UserError(f"--track {track}: there is no such tracker. {did_you_mean(track, _TRACKERS)}")
    if track is not None and find_spec(track) is None:
        raise UserError(f"--track {track}: it is not installed. Run: pip install 'tunebench[{track}]'")
