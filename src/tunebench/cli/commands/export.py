"""`tunebench export`: a finished run's model as an ordinary transformers folder."""

from pathlib import Path
from typing import Annotated

import typer

from tunebench.cli.options import Models, RunDir, model_folders
from tunebench.cli.printing import say


def export(run_dir: RunDir, target: Annotated[Path, typer.Argument(help="a new folder")], model: Models = None) -> None:
    """Write a finished run's model as an ordinary transformers folder, adapters merged into the weights."""
    from tunebench.serve import finished as serving

    say(f"Exported: {serving.export(run_dir, target, model_folders(model))}")
