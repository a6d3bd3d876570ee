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
    margin: Annotated[
        float,
        typer.Option(min=0, help="a difference that does not matter: points; of a perplexity a share of the best"),
    ] = 0.01,
    pairs: Annotated[bool, typer.Option("--pairs", help="test every pair of techniques, and group them")] = False,
    each_setting: Annotated[
        bool,
        typer.Option(
            "--each-setting",
            help="rank and test every setting of a technique, not only the one that is best on validation",
        ),
    ] = False,
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="of the machine, in any currency: adds what tuning costs; without it the study's"),
    ] = None,
) -> None:
    """Write report.html, report.md, report.tex, results.csv and results.json from a study's result files."""
    from tunebench import report as reports

    options = reports.Options(margin, pairs, each_setting, price_per_hour)
    if not rescore:
        say(f"Report: {reports.build(out, options)}")
        return
    path, changes, unread = reports.build_rescored(out, options)
    for run in unread:
        say(f"{run}: its predictions.jsonl is missing or damaged; its record is unchanged.")
    for change in changes:
        say(
            f"{change.run}: {change.metric} is recorded as {change.recorded}; its predictions give {change.recomputed}."
        )
    say(f"Report: {path}")
    if changes or unread:
        raise typer.Exit(1)
