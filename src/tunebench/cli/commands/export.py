"""`tunebench export`: a finished run's model as an ordinary transformers folder."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench.cli.options import Best, Models, Only, RunOrStudy, Technique, model_folders
from tunebench.cli.printing import say
from tunebench.cli.study_folder import chosen


def export(
    run_dir: RunOrStudy,
    target: Annotated[Path, typer.Argument(help="a new folder")],
    best: Best = False,
    technique: Technique = None,
    only: Only = None,
    model: Models = None,
) -> None:
    """Write a finished run's model as an ordinary transformers folder, adapters merged into the weights.

    A baseline is written with a small file that answers without tunebench.
    """
    folder = chosen(run_dir, best, technique, only)
    from tunebench.serve import finished as serving

    say(f"Exported: {serving.export(folder, target, model_folders(model))}")
