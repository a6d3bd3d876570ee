"""The routes: questions, the list of served runs, and what keeps a server running asks for."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from tunebench._util.errors import UserError, brief, message_of
from tunebench._util.visible import escaped
from tunebench.serve.answering import AnsweringThread
from tunebench.serve.api.bodies import PredictBody, RunBody, body_of
from tunebench.serve.api.metrics import Metrics
from tunebench.serve.api.models import Models, ServedModel
from tunebench.serve.api.openapi import document
from tunebench.serve.api.room import ServedRespondents
from tunebench.serve.mixed import FAILURES
from tunebench.serve.playground.page import page
from tunebench.serve.playground.routes import routes as playground_routes

_RELOAD = 2.0
"""Seconds between two looks at the folders of the served runs."""


@dataclass(frozen=True)
class ApiLimits:
    """What the server takes on.

    Attributes:
        characters: of all texts that wait; more are refused with 429. One request is taken if none waits.
        seconds: until a question is given up with 504.
        stop_seconds: for what waits when the server stops.
    """

    characters: int = 2_000_000
    seconds: float = 60.0
    stop_seconds: float = 30.0


class Api:
    """The server's state and its routes.

    Args:
        models: that are served.
        answering: computes their answers.
        metrics: counts.
        limits: of what it takes on.
        log_texts: whether the log may hold texts.
    """

    def __init__(
        self, models: Models, answering: AnsweringThread, metrics: Metrics, limits: ApiLimits, log_texts: bool = False
    ):
        self._models, self._answering, self._metrics = models, answering, metrics
        self._limits, self._log_texts = limits, log_texts
        self._waiting = 0  # characters
        self._stopping = False

    def application(self) -> Starlette:
        """For an ASGI server."""
        routes = {
            ("GET", "/"): self._page,
            ("GET", "/health"): self._health,
            ("GET", "/ready"): self._ready,
            ("GET", "/metrics"): self._metrics_text,
            ("GET", "/openapi.json"): self._openapi,
            ("POST", "/predict"): self._predict,
            ("GET", "/v1/models"): self._list,
            ("GET", "/v1/models/{name}"): self._show,
            ("PUT", "/v1/models/{name}"): self._add,
            ("DELETE", "/v1/models/{name}"): self._remove,
        }
        respondents = ServedRespondents(self._models, self._ask, self._models.folders)
        playground = playground_routes(respondents.contestants, respondents)
        return Starlette(
            routes=[
                *(self._route("", path, answer, [method]) for (method, path), answer in routes.items()),
                Mount(
                    "/playground",
                    routes=[self._route("/playground", one.path, one.endpoint, one.methods) for one in playground],
                ),
            ],
            exception_handlers={HTTPException: _refused},
            lifespan=self._lifespan,
        )

    def _route(self, under: str, path: str, answer: Callable[[Request], Awaitable[Response]], methods: Any) -> Route:
        return Route(path, self._logged(f"{under}{path}", answer), methods=methods)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        reloading = asyncio.create_task(self._reload())
        yield
        self._stopping = True
        reloading.cancel()
        await asyncio.to_thread(self._answering.close, self._limits.stop_seconds)

    async def _reload(self) -> None:
        while True:
            await asyncio.sleep(_RELOAD)
            for name, loaded in await asyncio.to_thread(self._models.reload_changed, self._answering.call):
                try:
                    await asyncio.wrap_future(loaded)
                    _log(event="reloaded", model=name)
                except FAILURES as error:
                    _log(event="not reloaded", model=name, reason=str(error))

    def _logged(
        self, path: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route that counts and writes one line of JSON per request, without its texts."""

        async def logged(request: Request) -> Response:
            start = time.monotonic()
            try:
                response = await answer(request)
            except HTTPException as error:
                response = _refused(request, error)
            except ClientDisconnect:
                response = Response(status_code=499)
            self._metrics.request(path, response.status_code)
            if path not in ("/health", "/ready", "/metrics"):
                milliseconds = round(1000 * (time.monotonic() - start), 1)
                asked = getattr(request.state, "asked", {})
                _log(event="request", route=path, status=response.status_code, ms=milliseconds, **asked)
            return response

        return logged

    async def _health(self, request: Request) -> Response:
        alive = self._answering.alive
        return JSONResponse({"status": "ok" if alive else "the thread that answers has ended"}, 200 if alive else 500)

    async def _ready(self, request: Request) -> Response:
        ready = self._answering.alive and not self._stopping
        return JSONResponse({"ready": ready, "models": len(self._models.names())}, 200 if ready else 503)

    async def _metrics_text(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(document())

    async def _predict(self, request: Request) -> Response:
        body = await body_of(request, PredictBody)
        request.state.asked = {"model": body.model[:100], "texts": len(body.inputs)}
        model = self._known(body.model)
        return JSONResponse({"model": model.name, "answers": await self._ask(request, model, body.texts, body.pairs)})

    async def _ask(
        self, request: Request, model: ServedModel, texts: Sequence[str], pairs: Sequence[str] | None
    ) -> list[dict[str, Any]]:
        """Answers from the queue, if there is room in it."""
        start = time.monotonic()
        request.state.asked = {"model": model.name, "texts": len(texts)}
        if self._log_texts:
            request.state.asked["inputs"] = [texts, pairs]
        size = sum(map(len, texts)) + sum(map(len, pairs or []))
        if self._waiting and self._waiting + size > self._limits.characters:
            raise HTTPException(429, "Too many texts wait already. Ask again later.", {"Retry-After": "1"})
        self._waiting += size
        try:
            answers = await self._answered(request, self._answering.ask(model.served, texts, pairs))
        finally:
            self._waiting -= size
        self._metrics.predicted(model.name, len(answers), time.monotonic() - start)
        return answers

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(page())

    async def _answered(self, request: Request, future: "Future[Any]") -> Any:
        """What a future gives; it is cancelled where nobody waits for it any more."""
        asked, left = asyncio.wrap_future(future), asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({asked, left}, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
        except UserError as error:
            raise HTTPException(400, _for_api(message_of(error))) from None
        except FAILURES as error:
            raise HTTPException(422, f"The model fails on these texts: {brief(error)}.") from None
        finally:
            asked.cancel()
            left.cancel()
        if left.done():
            raise ClientDisconnect
        raise HTTPException(504, f"There was no answer within {self._limits.seconds:g} seconds.")

    def _known(self, name: str) -> ServedModel:
        if self._stopping:
            raise HTTPException(503, "The server stops.", {"Retry-After": "5"})
        try:
            return self._models.named(name)
        except UserError as error:
            raise HTTPException(404, message_of(error)) from None

    async def _list(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [model.described() for model in self._models.all()]})

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._known(request.path_params["name"]).described())

    async def _add(self, request: Request) -> Response:
        name, body = request.path_params["name"], await body_of(request, RunBody)
        try:
            folder = await asyncio.to_thread(self._models.addable, body.run)
            model = await asyncio.wrap_future(self._answering.call(lambda: self._models.add(name, folder)))
        except UserError as error:
            raise HTTPException(400, message_of(error)) from None
        except FAILURES as error:
            raise HTTPException(422, f"The run cannot be loaded: {brief(error)}.") from None
        return JSONResponse(model.described(), 201)

    async def _remove(self, request: Request) -> Response:
        name = self._known(request.path_params["name"]).name
        self._models.remove(name)
        with suppress(KeyError):
            self._metrics.forget(name)
        return Response(status_code=204)


async def _disconnected(request: Request) -> None:
    """Ends when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _for_api(message: str) -> str:
    """A message of `predict` in the words of a request."""
    for option, field in (
        ("with each --pair", "with each text as 'pair'"),
        ("--pair (in a file: after a tab)", "'pair'"),
        ("--pair (in a file: the tabs)", "'pair'"),
    ):
        message = message.replace(option, field)
    return message


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": escaped(error.detail)}, error.status_code, error.headers)


def _log(**fields: Any) -> None:
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
    sys.stderr.write(json.dumps(line) + "\n")
