"""`tunebench run`: make the runs of a study and write its report."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import UserError, did_you_mean
from tunebench.cli.leaderboards import print_leaderboards
from tunebench.cli.options import Data, DataRoot, Models, StudyName, opened_study
from tunebench.cli.printing import say
from tunebench.cli.stopping import INTERRUPTED, stoppable
from tunebench.cli.where import WhereOptions, chosen, refuse_address
from tunebench.cli.whole_study import make_study

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
        str | None,
        typer.Option(
            help="runs at once: a number, or auto (one per GPU, or one per core without GPUs); default: 1; "
            "500 on slurm; what the nodes have room for on ray"
        ),
    ] = None,
    data_root: DataRoot = None,
    data: Data = None,
    model: Models = None,
    track: Annotated[
        str | None, typer.Option(help="also log to tensorboard, wandb or mlflow (install tunebench[<name>])")
    ] = None,
    on: Annotated[
        str, typer.Option(help="where: local, slurm or ray (install tunebench[slurm] or tunebench[ray])")
    ] = "local",
    slurm_partition: Annotated[str | None, typer.Option(help="SLURM's partition; default: the site's")] = None,
    slurm_time: Annotated[
        int | None, typer.Option(min=1, help="minutes of a SLURM job; a longer run continues in another; default: 240")
    ] = None,
    slurm: Annotated[
        list[str] | None, typer.Option(help="another option of sbatch: gpus-per-node=1; repeat it for more")
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="of the Ray cluster: auto, HOST:PORT, ray://HOST:PORT, or local to start Ray here; "
            "default: auto where there is one, else local"
        ),
    ] = None,
    ray: Annotated[
        list[str] | None,
        typer.Option(help="what a run asks of Ray: num_cpus, num_gpus, memory, accelerator_type or cache, NAME=VALUE"),
    ] = None,
) -> None:
    """Make all runs of a study that have no result yet, then write its report.

    Stop it at any moment: the same command continues. Exit code: 0 all done, 1 a run failed, 2 wrong use, 130 stopped.

    Example: tunebench run my-study.yaml --workers auto --only 'bert/emotion/*'
    """
    from tunebench import report as reports
    from tunebench.run.folder import failed_runs, locked

    refuse_address(out)
    opened = opened_study(study, model, data_root, data, seeds)
    _check_tracker(track)
    where = chosen(WhereOptions(on, workers, slurm_partition, slurm_time, slurm or (), ray_address, ray or ()))
    if on != "local" and opened.study.unsettled:
        raise UserError(
            f"--on {on}: this study has epochs: auto, which are timed on the machine that trains. "
            "Give numbers: a run with --on local writes them into epochs.json."
        )
    target = out or Path("runs") / opened.study.name
    with locked(target):
        opened, interrupted = make_study(opened, target, only, where, track)
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


def _check_tracker(track: str | None) -> None:
    from importlib.util import find_spec

    if track is not None and track not in _TRACKERS:
        raise UserError(f"--track {track}: there is no such tracker. {did_you_mean(track, _TRACKERS)}")
    if track is not None and find_spec(track) is None:
        raise UserError(f"--track {track}: it is not installed. Run: pip install 'tunebench[{track}]'")
