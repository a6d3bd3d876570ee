"""`tunebench evidence`: the earlier results that advice is based on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunebench._util.errors import UserError, did_you_mean
from tunebench._util.words import plural
from tunebench.cli.options import Json, model_choice
from tunebench.cli.printing import print_json, print_table, say
from tunebench.cli.stopping import stoppable

if TYPE_CHECKING:
    from tunebench.advise.evidence.build import Build
    from tunebench.engine.events import Event
    from tunebench.run.job import Job

HELP = "Show the earlier results that 'tunebench recommend' is based on, and add your own."


def show(json_: Json = False) -> None:
    """List the evidence: data sets, models, runs, and the best technique of each by the mean of its seeds.

    Your own evidence is kept in your data folder and is never sent anywhere.

    Example: tunebench evidence show --json
    """
    from tunebench.advise.evidence.base import evidence, own_folder, shipped_folder
    from tunebench.advise.evidence.ranks import chosen_of

    shipped, own = shipped_folder(), own_folder()
    rows = []
    for folder in (shipped, own):
        for one in evidence([folder]):
            cell, best = one.cell, max(chosen_of(one).values(), key=lambda chosen: chosen.test, default=None)
            rows.append(
                {
                    "dataset": cell.dataset,
                    "objective": cell.objective,
                    "model": cell.model,
                    "rows": cell.rows["train"],
                    "runs": len(one.runs),
                    "best": best and best.variant.technique,
                    "metric": cell.metric,
                    "score": best and best.sign * best.test,
                    "origin": "yours" if folder == own else "shipped",
                }
            )
    if json_:
        print_json({"evidence": rows, "shipped": str(shipped), "own": str(own)})
        return
    header = ["data set", "objective", "model", "rows", "runs", "best", "metric", "test score", "origin"]
    table = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    print_table(f"{plural(sum(row['runs'] for row in rows), 'run')} of {len(rows)} cells", header, table)
    say(f"Your own evidence is kept in {own}.")


def add(out: Annotated[Path, typer.Argument(help="the output folder of 'tunebench run'")]) -> None:
    """Add the finished runs of a study to your own evidence. It stays on this machine.

    Example: tunebench evidence add runs/my-study
    """
    from tunebench.advise.evidence.add import added
    from tunebench.advise.evidence.base import own_folder

    count, known, left_out = added(out, own_folder())
    say(f"{plural(count, 'run')} added to {own_folder()}, {known} known already.")
    for reason in left_out:
        say(f"left out: {reason}")


@stoppable("Stopped. Finished runs are kept; the same command continues.")
def build(
    data: Annotated[Path, typer.Option(help="folder of the data sets, <name>/<split>.parquet each")],
    model: Annotated[str, typer.Option(metavar="[NAME=]MODEL", help="a folder, a hub id, or a model that ships")],
    into: Annotated[Path | None, typer.Option(help="folder of the evidence; default: your own")] = None,
    work: Annotated[Path, typer.Option(help="where the runs are made")] = Path("runs/evidence"),
    rows: Annotated[int, typer.Option(min=16, help="training rows, at most")] = 400,
    only: Annotated[list[str] | None, typer.Option(help="a data set; repeat it for more")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="start no further run after so many seconds")] = None,
    workers: Annotated[int, typer.Option(min=1, help="runs at once")] = 1,
) -> None:
    """Make the runs of the evidence base that are missing: every technique at three rates with two seeds.

    It takes hours, and goes on where it was stopped.

    Example: tunebench evidence build --data shared/evidence --model pocket-bert
    """
    from tunebench.advise.evidence.base import own_folder
    from tunebench.advise.evidence.build import Build, Building
    from tunebench.advise.evidence.sources import sources
    from tunebench.run.executors.local import Local
    from tunebench.run.folder import locked

    for name in only or ():
        if name not in sources():
            raise UserError(f"--only {name}: there is no such data set. {did_you_mean(name, sources())}")
    chosen = frozenset(only or ())
    building = Building(data.absolute(), model_choice(model), into or own_folder(), work, rows, chosen)
    with locked(work):
        schedule = Build(building, seconds)
        if not schedule.finished:
            with Local(work, 1_000_000, workers) as executor:
                _drive(schedule, executor, work)
    for name, reason in schedule.left_out.items():
        say(f"left out: {name}: {reason}")
    say(f"Evidence: {building.into}")


def _drive(schedule: "Build", executor: Any, work: Path) -> None:
    from tunebench.engine.events import ResultWritten
    from tunebench.run.drive import drive

    def show_one(job: "Job", event: "Event") -> None:
        if isinstance(event, ResultWritten):
            say(f"{job.run.task.name} · {job.run.label} · seed {job.run.seed}: {event.status}")

    drive(schedule, executor, show_one, work)
