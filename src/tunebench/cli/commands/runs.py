"""`tunebench runs`: the runs of a study's folder, and how to remove some."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.cli.options import Json
from tunebench.cli.printing import print_json, print_table, say

if TYPE_CHECKING:
    from tunebench.cli.study_folder import StudyRun


def runs(
    out: Annotated[Path, typer.Argument(help="the output folder of 'tunebench run'")],
    delete: Annotated[
        str | None,
        typer.Option(help="remove these runs: FAMILY/TASK/TECHNIQUE with * (quote it), or the name of a run's folder"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove without asking")] = False,
    json_: Json = False,
) -> None:
    """List a study's runs: cell, seed, status, main metric on the test split, seconds and folder.

    Example: tunebench runs runs/demo --delete 'bert/*/lora'
    """
    from tunebench.cli.study_folder import runs_in

    listed = runs_in(out)
    if delete is not None:
        _delete(out, listed, delete, yes)
    elif json_:
        print_json({"runs": [run.record() for run in listed]})
    else:
        header = ["model", "task", "technique", "seed", "status", "metric", "value", "seconds", "folder"]
        print_table(plural(len(listed), "run"), header, [_row(run) for run in listed], right={3, 6, 7})


def _row(run: "StudyRun") -> list[str]:
    value = "undefined" if run.metric and run.value is None else "" if run.value is None else f"{run.value:.4f}"
    seconds = "" if run.seconds is None else f"{run.seconds:.1f}"
    return [
        run.plan.model,
        run.plan.task,
        run.plan.label,
        str(run.plan.seed),
        run.status,
        run.metric or "",
        value,
        seconds,
        f"runs/{run.plan.id}",
    ]


def _delete(out: Path, listed: "list[StudyRun]", pattern: str, yes: bool) -> None:
    from tunebench.run.folder import locked

    there = {folder.name: folder for folder in (out / "runs").iterdir()} if (out / "runs").is_dir() else {}
    doomed = [there[run.plan.id] for run in listed if run.matches(pattern) and run.plan.id in there]
    if not doomed:
        raise UserError(f"--delete {pattern}: no run with a folder matches. See 'tunebench runs {out}'.")
    with locked(out):
        for folder in doomed:
            say(folder.name)
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"Remove {plural(len(doomed), 'run')}?")):
            raise UserError("nothing is removed. Answer y, or give --yes.")
        for folder in doomed:
            _remove(folder)
    say(f"Removed: {plural(len(doomed), 'run')}. 'tunebench run' makes runs of the study again.")


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be removed ({error.strerror or error}).") from error
