"""`tunebench list`: what there is to choose from."""

from typing import Annotated, Literal

import typer

from tunebench.cli.options import Json
from tunebench.cli.printing import print_json, print_table

Kind = Literal["techniques", "tasks", "families", "studies", "recipes", "parts"]


def list_(kind: Annotated[Kind, typer.Argument(help="what to list")], json_: Json = False) -> None:
    """List techniques, tasks, families, built-in studies, recipes, or the parts of a study file.

    'tunebench show NAME' prints details.
    """
    from tunebench.cli.catalogue import entries

    listed = entries()[kind]
    if json_:
        print_json({kind: [{"name": name, **about} for name, about in listed.items()]})
        return
    rows = [[name, about["title"], about["source"]] for name, about in listed.items()]
    print_table(f"{len(rows)} {kind}", ["name", "title", "source"], rows)
