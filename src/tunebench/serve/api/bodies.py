"""What requests hold, and the sentence on what they should hold."""

import asyncio
import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tunebench._util.errors import shown

MOST_BYTES = 1_000_000
"""Of a request's body."""
BODY_SECONDS = 30.0
"""Until a request's body has arrived."""
MOST_INPUTS = 1024
"""Texts of a request."""
MOST_CHARACTERS = 100_000
"""Of a text."""

_Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Pair(_Body):
    """A text with its second one: to compare, a question's context, an instruction's input."""

    text: _Text
    pair: Annotated[str, Field(max_length=MOST_CHARACTERS)] = ""

    @model_validator(mode="after")
    def _is_unicode(self) -> "Pair":
        _encodable(self.text, self.pair)
        return self


class PredictBody(_Body):
    """Of `POST /predict`."""

    model: Annotated[str, Field(description="the name of a served run")]
    inputs: Annotated[
        list[_Text | Pair],
        Field(min_length=1, max_length=MOST_INPUTS, description="texts, or texts with their second ones"),
    ]

    @field_validator("inputs")
    @classmethod
    def _are_unicode(cls, inputs: list[str | Pair]) -> list[str | Pair]:
        _encodable(*(one for one in inputs if isinstance(one, str)))
        if any(isinstance(one, Pair) for one in inputs) and any(isinstance(one, str) for one in inputs):
            raise ValueError("give either texts or objects with text and pair, not both")
        return inputs

    @property
    def texts(self) -> list[str]:
        """The first texts."""
        return [one if isinstance(one, str) else one.text for one in self.inputs]

    @property
    def pairs(self) -> list[str] | None:
        """The second texts; None where none is given."""
        pairs = [one.pair for one in self.inputs if isinstance(one, Pair)]
        return pairs or None


class RunBody(_Body):
    """Of `PUT /v1/models/NAME`."""

    run: Annotated[str, Field(description="the place of a finished run's folder under the server's --allow DIR")]


_BRANCH = re.compile(r"^str$|[-\[(]")
"""How pydantic names an alternative of a field."""
B = TypeVar("B", bound=_Body)


async def body_of(request: Request, kind: type[B]) -> B:
    """A request's body.

    Raises:
        HTTPException: it is too long, no JSON, or holds something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON, with 'Content-Type: application/json'.")
    try:
        content = await asyncio.wait_for(_content(request), BODY_SECONDS)
    except TimeoutError:
        raise HTTPException(408, f"The request did not arrive within {BODY_SECONDS:g} seconds.") from None
    try:
        return kind.model_validate(json.loads(content))
    except (RecursionError, ValueError) as error:
        raise HTTPException(400, _sentence(error)) from None


async def _content(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"The request is too long: at most {MOST_BYTES:,} bytes are read.")
    return content


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "The request is no JSON."
    first = min(error.errors(include_url=False), key=lambda one: len(one["loc"]))
    place = ".".join(str(part) for part in first["loc"] if part != "Pair" and not _BRANCH.search(str(part)))
    what = first["msg"].removeprefix("Value error, ").removesuffix(".")
    return f"{shown(place) if place else 'The request'}: {what[:1].lower()}{what[1:]}."


def _encodable(*texts: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for text in texts for letter in text):
        raise ValueError("a text holds half of a surrogate pair, which is no character")


def schemas() -> dict[str, Any]:
    """The bodies' JSON schemas, for OpenAPI."""
    found: dict[str, Any] = {}
    for kind in (PredictBody, RunBody):
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= {**schema.pop("$defs", {}), kind.__name__: schema}
    return found
