"""`tunebench serve`: finished runs over HTTP."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import UserError
from tunebench.cli.options import Models, model_folders
from tunebench.cli.study_folder import runs_in
from tunebench.study import RUN_FILE

_LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]RUN...", help="finished runs' folders, OUT/runs/<run>, or OUT for all runs of a study"
        ),
    ],
    host: Annotated[str, typer.Option(help="address to listen at; the default: this machine only")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="TUNEBENCH_TOKEN", help="what 'Authorization: Bearer' must hold")
    ] = None,
    allow: Annotated[
        Path | None, typer.Option(metavar="DIR", help="finished runs under DIR may be added by PUT /v1/models/NAME")
    ] = None,
    batch_tokens: Annotated[int, typer.Option(min=1, help="of a batch, padding included")] = 4096,
    max_wait: Annotated[float, typer.Option(min=0, help="milliseconds that a text waits for others")] = 2.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds until a question is given up")] = 60.0,
    log_texts: Annotated[bool, typer.Option("--log-texts", help="write the texts into the log, too")] = False,
    model: Models = None,
) -> None:
    """Serve finished runs over HTTP; those on one backbone share its memory and its work.

    Example: tunebench serve reviews=runs/demo/runs/RUN & curl -H 'Content-Type: application/json'
    -d '{"model": "reviews", "inputs": ["good"]}' http://127.0.0.1:8000/predict
    """
    folders = named_runs(runs)
    if token is not None and not token:
        raise UserError("--token: it is empty. Give one, or omit it.")
    if host not in _LOCAL and token is None:
        sys.stderr.write(f"tunebench: anybody who reaches {host} can ask: no --token is given\n")
    try:
        from tunebench.serve.api import server
    except ModuleNotFoundError as error:
        raise UserError(f"serve needs the package {error.name}. Run: pip install 'tunebench[serve]'") from None
    from tunebench.serve.answering import BatchLimits
    from tunebench.serve.api.app import ApiLimits

    server.serve(
        folders,
        server.Settings(
            host=host,
            port=port,
            token=token,
            folders=model_folders(model),
            allowed=allow,
            batch=BatchLimits(batch_tokens, max_wait / 1000),
            api=ApiLimits(seconds=timeout),
            log_texts=log_texts,
        ),
    )


def named_runs(given: list[str]) -> dict[str, Path]:
    """Name -> folder of a run: the name that is given, else that of the folder; a study gives all its finished runs.

    Raises:
        UserError: two have the same name, a study has a name or no finished run.
    """
    found: dict[str, Path] = {}
    for argument in given:
        name, equals, path = argument.partition("=")
        folder = Path(path if equals and not Path(argument).exists() else argument)
        if (folder / "plan.json").is_file() and not (folder / RUN_FILE).is_file():
            parts = {run.plan.id: Path(run.folder) for run in runs_in(folder) if run.status == "done"}
            if not parts:
                raise UserError(f"{folder}: this study has no finished run.")
            if folder != Path(argument):
                raise UserError(f"{argument}: a study's runs have the names of their folders. Give it without a name.")
        else:
            parts = {name if folder != Path(argument) else folder.resolve().name: folder}
        twice = sorted(found.keys() & parts.keys())
        if twice:
            raise UserError(f"{argument}: '{twice[0]}' is the name of another run. Give a name: NAME={argument}.")
        found |= parts
    return found
