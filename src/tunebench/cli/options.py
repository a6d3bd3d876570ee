"""Arguments and options that several commands take, and what they mean."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tunebench._util.errors import UserError

if TYPE_CHECKING:
    from tunebench.study import Places, Run, Study

StudyName = Annotated[str, typer.Argument(help="a built-in name (tunebench list studies) or a YAML file")]
DataRoot = Annotated[
    Path | None, typer.Option(help="read built-in tasks' data from DIR/<data set>/<split>.parquet instead of the hub")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME=PATH", help="use the local folder PATH for the model NAME"),
]
Data = Annotated[
    Literal["embedded"] | None, typer.Option(help="embedded: use the small data sets that tunebench ships")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
RunOrStudy = Annotated[
    Path, typer.Argument(help="a finished run's folder, OUT/runs/<run>; or OUT with --best, --technique or --only")
]
Best = Annotated[
    bool, typer.Option("--best", help="of a study's folder the run that is best by the main metric on validation")
]
Technique = Annotated[
    str | None, typer.Option(help="of a study's folder the best run of this technique, by its name or its label")
]
Only = Annotated[
    str | None,
    typer.Option(help="of a study's folder the best run of this cell, FAMILY/TASK/TECHNIQUE with * (quote it)"),
]


@dataclass(frozen=True)
class OpenedStudy:
    """A study as the options change it, with its YAML text, its runs, and where models and data lie.

    Where `epochs: auto` is not settled, the runs have the epochs of the reference.

    Attributes:
        command: what makes the study again.
    """

    study: "Study"
    text: str
    runs: "list[Run]"
    places: "Places"
    command: str = field(default_factory=lambda: f"tunebench {shlex.join(sys.argv[1:])}")


def opened_study(
    name: str, models: list[str] | None, data_root: Path | None, data: str | None, seeds: int | None = None
) -> OpenedStudy:
    """The study of this name or file.

    Raises:
        UserError: the study has a mistake, or an option has one.
    """
    from tunebench.study import read_study

    return changed_study(*read_study(name), model_folders(models), data_root, data, seeds)


def changed_study(
    study: "Study",
    text: str,
    models: Mapping[str, str],
    data_root: Path | None,
    data: str | None,
    seeds: int | None,
) -> OpenedStudy:
    """A study that is read, with its text, as the options change it.

    Raises:
        UserError: an option has a mistake.
    """
    if seeds is not None:
        study = study.with_seeds(seeds)
    if data is not None and data_root is not None:
        raise UserError("--data embedded and --data-root name two sources of data. Give one of them.")
    study = study.on_embedded_data() if data else study.on_data_root() if data_root else study
    runs = study.settled({}).runs()
    places = study.places(models, _absolute(data_root) if data_root else None)
    return OpenedStudy(study, text, runs, places)


def model_choice(text: str) -> Any:
    """`[NAME=]MODEL` as a study writes it: a hub id, a folder or a model that ships, or a folder with a name."""
    name, equals, path = text.partition("=")
    return {"path": _absolute(Path(path)), "name": name} if equals else text


def model_folders(options: list[str] | None) -> dict[str, str]:
    """The folder of each model that `--model NAME=PATH` names, absolute, as a run must find it from anywhere.

    Raises:
        UserError: an option has no name, or no path.
    """
    folders = {}
    for option in options or []:
        name, equals, path = option.partition("=")
        if not equals or not name or not path:
            raise UserError(f"--model {option}: write --model NAME=PATH, with a model name of the study.")
        folders[name] = _absolute(Path(path))
    return folders


def _absolute(path: Path) -> str:
    return str(path.expanduser().absolute())
