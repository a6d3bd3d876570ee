"""`tunebench attention`: the attention of a finished run's model."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench.cli.options import Best, Models, Only, RunOrStudy, Technique, model_folders
from tunebench.cli.printing import say
from tunebench.cli.study_folder import chosen


def attention(
    run_dir: RunOrStudy,
    text: Annotated[str, typer.Option(help="the text that is read")],
    pair: Annotated[str | None, typer.Option(help="the second text, where the task takes two")] = None,
    target: Annotated[
        str | None, typer.Option(help="read this answer instead of the run's own, where the model writes one")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="output folder; default: attention/<run>")] = None,
    best: Best = False,
    technique: Technique = None,
    only: Only = None,
    model: Models = None,
) -> None:
    """Show the attention of a finished run's model over a text, by layer and head, before and after tuning.

    Writes a page (attention.html), two figures per kind of attention (svg), the weights (attention.safetensors) and
    their tokens (attention.json).

    Example: tunebench attention runs/demo --best --only 'bert/emotion/*' --text "i feel wonderful today"
    """
    folder = chosen(run_dir, best, technique, only)
    from tunebench.serve.attention.maps import attention as compute
    from tunebench.serve.attention.page import write

    maps = compute(folder, text, pair, target, model_folders(model))
    say(f"Attention: {write(maps, out or Path('attention') / maps.run)}")
