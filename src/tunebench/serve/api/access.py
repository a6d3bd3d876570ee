"""Who may ask: an ASGI application in front of another one, which looks at host, origin and token."""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN = ("/health", "/ready")
"""Asked by what keeps the server running, which knows no token."""
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Access:
    """Refuses with a status code and one sentence.

    A web page of anybody can send requests to 127.0.0.1 from the browser of the person who runs the server, and give
    that address a name of its own: a server of this machine answers to its own names only, and to no other page.

    Attributes:
        app: the other application.
        token: what `Authorization: Bearer` must hold; None: nothing.
        local: whether the server listens on this machine only.
    """

    app: App
    token: str | None
    local: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = self._refusal(scope)
            if refusal is None:
                await self.app(scope, receive, send)
            else:
                await _refuse(*refusal, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self.local and name not in _LOCAL:
            return 403, "This server answers under 127.0.0.1 and localhost only."
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "This server answers no page of another site."
        if self.token is None or scope["path"] in _OPEN:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode("utf-8", "surrogatepass"), self.token.encode())
        if kind.lower() != "bearer" or not known:
            return 401, "The token is missing or wrong: send 'Authorization: Bearer TOKEN'."
        return None


async def _refuse(status: int, sentence: str, send: Send) -> None:
    body = b'{"error":"' + sentence.encode() + b'"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
