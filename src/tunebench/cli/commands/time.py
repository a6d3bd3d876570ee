"""`tunebench time`: time the techniques of a study side by side."""

import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.cli.options import DataRoot, Models, model_folders
from tunebench.cli.printing import say
from tunebench.cli.stopping import stoppable

if TYPE_CHECKING:
    from tunebench.records import Done
    from tunebench.report.read.comparisons import Row
    from tunebench.run.job import Job
    from tunebench.run.timing import Turn


@stoppable("Stopped. What is measured is kept; 'tunebench report' uses it, and the same command measures again.")
def time(
    out: Annotated[Path, typer.Argument(help="the output folder of 'tunebench run'")],
    only: Annotated[
        str | None, typer.Option(help="cells to time, FAMILY/TASK/TECHNIQUE with * (quote it): 'bert/emotion/*'")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="how often each technique's turn comes")] = 3,
    data_root: DataRoot = None,
    model: Models = None,
) -> None:
    """Time the steps of all finished techniques side by side, turn by turn, and write the report with these times.

    Wall-clock seconds of a study measure what else was running. Run this on a quiet moment: it makes 20 steps of each
    technique per round and takes the median over rounds. It changes no weights.

    Example: tunebench time runs/demo --rounds 5
    """
    from tunebench import report as reports
    from tunebench.report import text
    from tunebench.run.folder import locked
    from tunebench.run.timing import measured

    with locked(out):
        comparisons = _comparisons(out, only, model_folders(model), data_root)
        total = rounds * sum(map(len, comparisons))
        say(f"{plural(total, 'turn')} of {plural(sum(map(len, comparisons)), 'technique')}.")
        names = {job.run.id: f"{job.run.task.name} · {job.run.label}" for jobs in comparisons for job in jobs}
        start, busiest = clock.monotonic(), 0.0
        for number, turn in enumerate(measured(out, comparisons, rounds), 1):
            busiest = max(busiest, turn.busy_cores)
            left = (clock.monotonic() - start) / number * (total - number)
            say(f"[{number}/{total}] {names[turn.run]}: {_shown(turn)} (about {text.seconds(left)} left)")
        _warn(busiest)
        say(f"Report: {reports.build(out)}")


def _comparisons(out: Path, only: str | None, models: dict[str, str], data_root: Path | None) -> "list[list[Job]]":
    """The jobs of each comparison: of each technique that trained, its first finished seed.

    Raises:
        UserError: no technique is finished, or `only` matches none.
    """
    from tunebench.cli.study_folder import runs_in
    from tunebench.report.read.comparisons import comparisons
    from tunebench.report.read.study import read_study

    chosen = {run.plan.id for run in runs_in(out) if only is None or run.matches(only)}
    jobs = []
    for comparison in comparisons(read_study(out)):
        finished = [done for row in comparison.rows if (done := _first(row)) is not None and done.run.id in chosen]
        if finished:
            jobs.append([_job(out, done, models, data_root) for done in finished])
    if not jobs:
        which = "no technique that trained is finished" if only is None else f"--only '{only}' matches none"
        raise UserError(f"time {out}: {which}. See 'tunebench runs {out}'.")
    return jobs


def _first(row: "Row") -> "Done | None":
    return next((result for result in row.done if result.cost.train_seconds > 0), None)


def _job(out: Path, done: "Done", models: dict[str, str], data_root: Path | None) -> "Job":
    from tunebench.run.job import Job
    from tunebench.study import read_run

    folder = out / "runs" / done.run.id
    run, places = read_run(folder)
    moved = {"models": {**places.models, **models}}
    places = places.model_copy(update=moved | ({"data_root": str(data_root.absolute())} if data_root else {}))
    return Job(run=run, places=places, family=done.run.family, folder=str(folder), cache=str(out / "cache"))


def _shown(turn: "Turn") -> str:
    from tunebench.report import text

    if turn.skipped or turn.reason is not None:
        return f"left out: {turn.reason or 'it failed before'}"
    if turn.baseline:
        return f"{text.latency(turn.seconds)} for its fit"
    trunk = f", {text.latency(turn.trunk_seconds)} for the trunk" if turn.trunk_seconds else ""
    return f"{text.latency(turn.seconds)} per step{trunk}"


def _warn(busiest: float) -> None:
    from tunebench.run.timing import QUIET

    if busiest > QUIET:
        say(
            f"The machine was not quiet: other processes kept up to {busiest:.1f} cores busy. The times compare "
            "techniques under that load; repeat the command on a quiet moment."
        )
