"""`tunebench watch`: a local page on studies that run or have ended."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tunebench._util.errors import UserError
from tunebench.cli.options import Models, model_folders
from tunebench.cli.printing import say


def watch(
    outs: Annotated[list[Path], typer.Argument(help="output folders of 'tunebench run'; they may not exist yet")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="of the page, on 127.0.0.1; 0: a free one")] = 0,
    model: Models = None,
) -> None:
    """Show studies in a browser while they run: progress, learning curves, results, and a playground.

    The page is for this machine and for who has its address. Ctrl-C ends it; the studies go on.

    Example: tunebench watch runs/demo
    """
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise UserError("watch: its page needs Starlette and uvicorn. Run: pip install 'tunebench[ui]'")
    if len({out.resolve() for out in outs}) < len(outs):
        raise UserError("watch: a folder stands twice. Give each study once.")
    models = model_folders(model)
    from tunebench.watch.server import serve

    serve(outs, port, models, lambda address: say(f"Watch: {address}\nCtrl-C ends the page; the studies go on."))
