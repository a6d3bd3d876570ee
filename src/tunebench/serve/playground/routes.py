"""The playground over HTTP: which runs there are, an answer, and the attention behind it."""

import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tunebench._util.errors import UserError, message_of
from tunebench._util.visible import escaped, escaped_within
from tunebench.serve.http import content_of, file, text_of
from tunebench.serve.playground.answers import shown
from tunebench.serve.playground.shelf import Answered, Shelf

_Made = TypeVar("_Made")
_PAGES = 8  # of attention that are kept
_OWN_POLICY = {"content-security-policy": "frame-ancestors 'self'"}
"""Beside the one in the page itself, which names its script by its hash."""


@dataclass(frozen=True)
class Contestant:
    """A finished run that answers.

    Attributes:
        key: what the page calls it in a request.
        cell: what stands side by side: the study, the task and the model, in words.
        title: its technique.
        score: on the test split, in words.
        folder: of the run.
        second: what the second text is, where the task takes two.
        optional: whether the second one may be left out.
        attends: whether it has attention to show.
    """

    key: str
    cell: str
    title: str
    score: str
    folder: Path
    second: str | None
    optional: bool
    attends: bool


class Respondents(Protocol):
    """Who answers. A user's mistake is a UserError; an HTTPException is the answer itself."""

    async def answer(self, request: Request, one: Contestant, text: str, pair: str | None) -> Answered:
        """The answer of a run to the text of a request."""
        ...

    async def attention(self, one: Contestant, text: str, pair: str | None) -> str:
        """The page on the attention of its model."""
        ...


class ShelfRespondents:
    """Runs that are loaded when they are first asked."""

    def __init__(self, shelf: Shelf):
        self._shelf = shelf

    async def answer(self, request: Request, one: Contestant, text: str, pair: str | None) -> Answered:
        """In a thread of its own."""
        return await run_in_threadpool(self._shelf.answer, one.folder, text, pair)

    async def attention(self, one: Contestant, text: str, pair: str | None) -> str:
        """In a thread of its own."""
        return await run_in_threadpool(self._shelf.attention, one.folder, text, pair)


def routes(contestants: Callable[[], Sequence[Contestant]], respondents: Respondents) -> list[Route]:
    """To be mounted at `/playground`.

    Args:
        contestants: the runs that there are now, those of a cell together.
        respondents: answer for them.
    """
    room = _Room(contestants, respondents)
    return [
        Route("/runs", room.listed),
        Route("/answer", room.answer, methods=["POST"]),
        Route("/attention", room.attention, methods=["POST"]),
        Route("/attention/{number:int}", room.page),
        Route("/playground.js", room.script),
    ]


class _Room:
    """The answers to requests; each method is one of a path."""

    def __init__(self, contestants: Callable[[], Sequence[Contestant]], respondents: Respondents):
        self._contestants, self._respondents = contestants, respondents
        self._pages: OrderedDict[int, str] = OrderedDict()
        self._numbers = itertools.count(1)

    async def listed(self, request: Request) -> Response:
        found = await run_in_threadpool(self._contestants)
        return JSONResponse({"runs": [_described(one) for one in found]})

    async def answer(self, request: Request) -> Response:
        one, text, pair = await self._asked(request)
        made = await _done(self._respondents.answer(request, one, text, pair))
        times = {"seconds": made.seconds, "loaded": made.loaded, "note": escaped(made.note)}
        return JSONResponse({**shown(made.content, pair), **times})

    async def attention(self, request: Request) -> Response:
        one, text, pair = await self._asked(request)
        page = await _done(self._respondents.attention(one, text, pair))
        number = next(self._numbers)
        self._pages[number] = page
        while len(self._pages) > _PAGES:
            self._pages.popitem(last=False)
        return JSONResponse({"page": f"/playground/attention/{number}"})

    async def page(self, request: Request) -> Response:
        page = self._pages.get(request.path_params["number"])
        if page is None:
            raise HTTPException(404, "This page is not kept any more. Ask for it again.")
        return HTMLResponse(page, headers=_OWN_POLICY)

    async def script(self, request: Request) -> Response:
        return file("tunebench.serve.playground", "playground.js")

    async def _asked(self, request: Request) -> tuple[Contestant, str, str | None]:
        """The run that is asked, the text, and the second one where the task takes two."""
        content = await content_of(request)
        key, text, pair = (text_of(content, name) for name in ("run", "text", "pair"))
        found = await run_in_threadpool(self._contestants)
        one = next((one for one in found if one.key == key), None)
        if one is None:
            raise HTTPException(404, "There is no such run any more. Reload the page.")
        if one.second is None:
            return one, text, None
        if not pair.strip() and not one.optional:
            what = "second text" if one.second == "pair" else one.second
            raise HTTPException(400, f"The {what} is empty. Type at least one word.")
        return one, text, pair


def _described(one: Contestant) -> dict[str, Any]:
    names = ("key", "cell", "title", "score", "second", "optional", "attends")
    return escaped_within({name: getattr(one, name) for name in names})


async def _done(work: Awaitable[_Made]) -> _Made:
    """What is computed; a user's mistake is a sentence."""
    try:
        return await work
    except UserError as error:
        raise HTTPException(400, message_of(error).removeprefix("predict: ")) from error
    except MemoryError as error:
        raise HTTPException(500, "There is not enough memory for this model.") from error
