"""The page over HTTP: server-sent events to any number of browsers, and two requests to the studies' commands."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from tunebench._util.palette import PALETTE
from tunebench._util.visible import escaped
from tunebench.report.charts import vega
from tunebench.run import requests
from tunebench.serve.http import content_of, file, refused, text_of
from tunebench.serve.playground.routes import ShelfRespondents
from tunebench.serve.playground.routes import routes as playground_routes
from tunebench.serve.playground.shelf import Shelf
from tunebench.watch.desk import Desk
from tunebench.watch.study import WatchedStudy

_EVERY = 1.0  # seconds between two looks
_ALIVE = 15  # looks without news, after which a line keeps the connection
_OWN_POLICY = {"content-security-policy": "frame-ancestors 'self'"}
"""Of a page that holds a policy with its scripts' hashes."""


def application(outs: Sequence[Path], models: Mapping[str, str] | None = None) -> Starlette:
    """The page on these studies, without its guard.

    Args:
        outs: output folders of `tunebench run`, which may not exist yet.
        models: a model's name -> its folder now, for the playground.
    """
    desk, respondents = Desk(outs), ShelfRespondents(Shelf(models))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    return Starlette(
        routes=[*_routes(desk), Mount("/playground", routes=playground_routes(desk.contestants, respondents))],
        exception_handlers={HTTPException: refused},
        lifespan=lifespan,
    )


class _Page:
    """The answers to requests; each method is one of a path."""

    def __init__(self, desk: Desk):
        self._desk = desk

    async def shell(self, request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(shell, self._desk))

    async def events(self, request: Request) -> Response:
        return StreamingResponse(news(self._desk), media_type="text/event-stream")

    async def script(self, request: Request) -> Response:
        return file("tunebench.watch", "watch.js")

    async def drawing(self, request: Request) -> Response:
        bundle = await run_in_threadpool(vega.javascript)
        return Response(bundle or "", media_type="text/javascript")

    async def cards(self, request: Request) -> Response:
        made, whole = await run_in_threadpool(self._desk.report, self._number(request))
        return JSONResponse({"html": made.cards, "trouble": escaped(made.trouble), "whole": whole})

    async def report(self, request: Request) -> Response:
        made, _ = await run_in_threadpool(self._desk.report, self._number(request))
        if not made.page:
            raise HTTPException(404, made.trouble)
        return HTMLResponse(made.page, headers=_OWN_POLICY)

    async def stop(self, request: Request) -> Response:
        study, name = self._live(request), text_of(await content_of(request), "run")
        if all(one.placed.folder.rpartition("/")[2] != name for one in study.work.at_work.values()):
            raise HTTPException(404, "This run is not at work any more.")
        return await _ask(study, requests.StopRun(run=name))

    async def skip(self, request: Request) -> Response:
        study, label = self._live(request), text_of(await content_of(request), "label")
        if all(run.label != label for run in study.runs):
            raise HTTPException(404, "The study has no such technique.")
        return await _ask(study, requests.SkipTechnique(label=label))

    def _number(self, request: Request) -> int:
        number = request.path_params["number"]
        if number >= len(self._desk.studies):
            raise HTTPException(404, "There is no such study.")
        return number

    def _live(self, request: Request) -> WatchedStudy:
        study = self._desk.studies[self._number(request)]
        if not study.live:
            raise HTTPException(409, "No command makes runs of this study now.")
        return study


def _routes(desk: Desk) -> list[Route]:
    page = _Page(desk)
    return [
        Route("/", page.shell),
        Route("/events", page.events),
        Route("/watch.js", page.script),
        Route("/vega.js", page.drawing),
        Route("/studies/{number:int}/cards", page.cards),
        Route("/studies/{number:int}/report", page.report),
        Route("/studies/{number:int}/stop", page.stop, methods=["POST"]),
        Route("/studies/{number:int}/skip", page.skip, methods=["POST"]),
    ]


def shell(desk: Desk) -> str:
    """The page without its content, which comes as events."""
    environment = Environment(
        loader=PackageLoader("tunebench.watch"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"part": _template_of, "palette": PALETTE}
    return environment.get_template("watch.html.j2").render(numbers=range(len(desk.studies)))


def _template_of(package: str, name: str) -> Any:
    """A file of another room's templates, as it is."""
    from importlib import resources

    from markupsafe import Markup

    return Markup(resources.files(package).joinpath("templates", name).read_text("utf-8"))


async def news(desk: Desk, looks: int | None = None) -> AsyncIterator[str]:
    """Server-sent events: each part of the page when it has changed since this browser had it.

    Args:
        desk: what there is.
        looks: how many; None: until the browser leaves.
    """
    sent: dict[str, str] = {}
    quiet = 0
    yield "retry: 2000\n\n"
    while looks is None or looks > 0:
        shown = await run_in_threadpool(desk.look)
        changed = {name: content for name, content in shown.items() if sent.get(name) != content}
        for name, content in changed.items():
            number, _, part = name.partition(" ")
            yield f'data: {{"study":{number},"part":{json.dumps(part)},"content":{content}}}\n\n'
        sent |= changed
        quiet = 0 if changed else quiet + 1
        if quiet >= _ALIVE:
            quiet = 0
            yield ": alive\n\n"
        looks = None if looks is None else looks - 1
        await asyncio.sleep(_EVERY)


async def _ask(study: WatchedStudy, request: requests.Request) -> Response:
    try:
        await run_in_threadpool(requests.ask, study.folder, request)
    except OSError as error:
        raise HTTPException(507, f"{study.folder}: the request cannot be written ({error.strerror}).") from error
    return JSONResponse({"asked": True})
