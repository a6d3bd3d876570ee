"""`tunebench report`: a study's report from its result files."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench.cli.printing import say
from tunebench.cli.stopping import stoppable


@stoppable("Stopped. The results are kept; the same command writes the report.")
def report(
    out: Annotated[Path, typer.Argument(help="the output folder of 'tunebench run'")],
    rescore: Annotated[
        bool, typer.Option("--rescore", help="compute every test metric again from the predictions, and compare")
    ] = False,
) -> None:
    """Write report.html, report.md, report.tex, results.csv and results.json from a study's result files."""
    from tunebench import report as reports

    if not rescore:
        say(f"Report: {reports.build(out)}")
        return
    path, changes, unread = reports.build_rescored(out)
    for run in unread:
        say(f"{run}: its predictions.jsonl is missing or damaged; its record is unchanged.")
    for change in changes:
        say(
            f"{change.run}: {change.metric} is recorded as {change.recorded}; its predictions give {change.recomputed}."
        )
    say(f"Report: {path}")
    if changes or unread:
        raise typer.Exit(1)
