"""`tunebench pretrain`: a backbone from plain text."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import RunError
from tunebench.cli.options import Models, model_folders
from tunebench.cli.printing import say
from tunebench.cli.stopping import stoppable


def pretrain(
    recipe: Annotated[str, typer.Argument(help="a built-in name (tunebench list recipes) or a YAML file")],
    data_root: Annotated[Path, typer.Option(help="the folder that the recipe's text files are relative to")] = Path(),
    out: Annotated[Path | None, typer.Option(help="output folder; default: backbones/<recipe>")] = None,
    model: Models = None,
) -> None:
    """Train a tokenizer and a backbone from plain text, by the objective of its family.

    OUT/model is an ordinary transformers folder with a card, usable as a model name; it is written again at each
    reading of the held-out loss. Stop it at any moment: the same command continues and ends with the same weights.

    Example: tunebench pretrain pocket-bert --data-root ../shared/data
    """
    from rich.console import Console

    from tunebench.cli.progress import display_on
    from tunebench.zoo.pretraining.recipe import read_recipe

    parsed, _ = read_recipe(recipe)
    target = out or Path("backbones") / parsed.name

    from tunebench.run.folder import locked
    from tunebench.zoo.pretraining.pretrain import pretrain as make

    with locked(target), stoppable(f"Stopped. The same command continues. Model so far: {target}/model"):
        try:
            with display_on(Console()) as display:
                observe = functools.partial(display.show, parsed.name, parsed.name)
                made = make(parsed, data_root, target, observe, model_folders(model))
        except RunError as error:
            say(f"failed: {error}")
            raise typer.Exit(1) from error
    say(f"Backbone: {made}")
