"""What the local servers share: bodies of a bounded size, refusals as one sentence, and files of a room."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tunebench._util.errors import shown
from tunebench._util.visible import escaped

MOST_BYTES = 400_000
"""Of a request's body."""


async def content_of(request: Request) -> Mapping[str, Any]:
    """The JSON object that a request holds.

    Raises:
        HTTPException: it is too long, or no JSON object.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"The request is too long: at most {MOST_BYTES:,} bytes are read.")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise HTTPException(400, "The request is no JSON object.")
    return content


def text_of(content: Mapping[str, Any], name: str) -> str:
    """A text of a request; empty where it is not given.

    Raises:
        HTTPException: it is no text.
    """
    value = content.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise HTTPException(400, f"'{name}' is no text: {shown(value)}.")
    return value


def refused(request: Request, error: Exception) -> Response:
    """A refusal as JSON with one sentence."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": escaped(str(error.detail))}, error.status_code)


def file(package: str, name: str) -> Response:
    """A script or a style of a room's templates."""
    kinds = {"js": "text/javascript", "css": "text/css"}
    content = resources.files(package).joinpath("templates", name).read_text("utf-8")
    return Response(content, media_type=kinds[name.rpartition(".")[2]])
