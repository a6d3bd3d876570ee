"""Who may ask: an ASGI application in front of another one, which looks at host, origin and token."""

import hmac
from dataclasses import dataclass

from tunebench.serve.guard import App, Receive, Scope, Send, cookie, decorated, headers_of, holds, same, token_in

_OPEN = ("/health", "/ready")
"""Asked by what keeps the server running, which knows no token."""
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Access:
    """Refuses with a status code and one sentence.

    A web page of anybody can send requests to 127.0.0.1 from the browser of the person who runs the server, and give
    that address a name of its own: a server of this machine answers to its own names only, and to no other page.

    A browser cannot send `Authorization` for a page: the playground is opened with `/?token=TOKEN`, which sets a cookie
    that opens the playground and nothing else.

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
            headers = headers_of(scope)
            entered = self._entered(scope)
            refusal = self._refusal(scope, headers, entered)
            given = cookie(_cookie_name(scope), self._secret) if entered and refusal is None else None
            sender = decorated(send, given) if _is_page(scope) else send
            if refusal is None:
                await self.app(scope, receive, sender)
            else:
                await _refuse(*refusal, sender)

    def _refusal(self, scope: Scope, headers: dict[str, str], entered: bool) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self.local and name not in _LOCAL:
            return 403, "This server answers under 127.0.0.1 and localhost only."
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "This server answers no page of another site."
        if self.token is None or scope["path"] in _OPEN or entered:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self.token):
            return None
        if _is_page(scope):
            known = holds(headers, _cookie_name(scope), self._secret)
            return None if known else (401, "The token is missing or wrong: open /?token=TOKEN.")
        return 401, "The token is missing or wrong: send 'Authorization: Bearer TOKEN'."

    def _entered(self, scope: Scope) -> bool:
        """Whether the address of the playground holds the token."""
        given = token_in(scope)
        return self.token is not None and scope["path"] == "/" and given is not None and same(given, self.token)

    @property
    def _secret(self) -> str:
        """The same in every worker, and no way back to the token."""
        return hmac.new((self.token or "").encode(), b"tunebench playground", "sha256").hexdigest()


def _is_page(scope: Scope) -> bool:
    return scope["path"] == "/" or scope["path"].startswith("/playground/")


def _cookie_name(scope: Scope) -> str:
    """Cookies are shared by all ports of a machine."""
    return f"tunebench-serve-{(scope.get('server') or ('', ''))[1]}"


async def _refuse(status: int, sentence: str, send: Send) -> None:
    body = b'{"error":"' + sentence.encode() + b'"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
