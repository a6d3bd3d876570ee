"""`tunebench compare`: several studies side by side."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import UserError
from tunebench.cli.printing import say
from tunebench.cli.stopping import stoppable


@stoppable("Stopped. The studies are unchanged.")
def compare(
    outs: Annotated[list[Path], typer.Argument(help="output folders of 'tunebench run', the earliest first")],
    out: Annotated[Path, typer.Option("--out", help="folder of comparison.html and comparison.md")] = Path(
        "comparison"
    ),
    margin: Annotated[
        float,
        typer.Option(min=0, help="a difference that does not matter: points; of a perplexity a share of the best"),
    ] = 0.01,
) -> None:
    """Say whether a change helped: which techniques became better from the first study to each other one.

    The page shows every difference with its interval and its verdict, and what was changed: settings, data, model,
    code, machine. Techniques are tested on the seeds and the test examples that both studies have.
    """
    if len(outs) < 2:
        raise UserError("compare: one study alone cannot be compared. Give the folders of two or more.")
    from tunebench.report.studies import compare as compare_studies

    answer = compare_studies(outs, out, margin)
    for name, sentences in answer.sentences:
        say(f"{name}, compared with the first study:")
        for sentence in sentences:
            say(f"  {sentence}")
    say(f"Comparison: {answer.page}")
