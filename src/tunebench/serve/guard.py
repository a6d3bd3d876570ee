"""Who may talk to a local server: those who know its token, from its own page, under its own name.

A web page of anybody can send requests to 127.0.0.1 from the browser of the person who runs the server, and can give
that address a name of its own (DNS rebinding). Hence four conditions; who misses one gets 403 and a sentence:

- the name in `Host` is one of this machine's own;
- `Origin`, where it is given, is the server's own; a request that changes something must give it;
- what a browser says of the page that asks (`Sec-Fetch-Site`) is no other site;
- the token is in the address, or the cookie that its first use has set.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Only the server's own scripts run, and nothing is fetched from elsewhere. Charts write styles of their own."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the address may hold the token
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}


@dataclass(frozen=True)
class Guard:
    """An ASGI application in front of another one.

    Attributes:
        app: the other one.
        token: what the address must hold once.
        name: of the cookie; cookies are shared by all ports of a machine.
        secret: what the cookie holds.
    """

    app: App
    token: str
    name: str
    secret: str

    @classmethod
    def before(cls, app: App, name: str) -> "Guard":
        """With a token and a secret that nobody can guess."""
        return cls(app, secrets.token_urlsafe(24), name, secrets.token_urlsafe(24))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = headers_of(scope)
        refusal = _refusal(scope["method"], headers)
        given = token_in(scope)
        entered = given is not None and same(given, self.token)
        if refusal is None and not entered and (given is not None or not holds(headers, self.name, self.secret)):
            refusal = "The token in the address is missing or wrong. Open the address that the command printed."
        if refusal is not None:
            await _refuse(refusal, decorated(send))
            return
        await self.app(scope, receive, decorated(send, cookie(self.name, self.secret) if entered else None))


def token_in(scope: Scope) -> str | None:
    """The token that an address holds, whoever's it is."""
    given = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True).get("token")
    return None if given is None else given[0]


def cookie(name: str, secret: str) -> str:
    """What sets a cookie that scripts cannot read and other sites cannot send."""
    return f"{name}={secret}; Path=/; HttpOnly; SameSite=Strict"


def holds(headers: Mapping[str, str], name: str, secret: str) -> bool:
    """Whether a request has the cookie with its secret."""
    try:
        given = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return False
    return given is not None and same(given.value, secret)


def headers_of(scope: Scope) -> dict[str, str]:
    """Those of a request; of one that is given twice both, which is nobody's value."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]},{value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def _refusal(method: str, headers: dict[str, str]) -> str | None:
    """Why a request is refused whoever sends it."""
    host, origin, site = headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site")
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if name not in _OWN_NAMES or not (port.isdecimal() or not port):
        return "This server answers under 127.0.0.1 and localhost only."
    changes = method not in ("GET", "HEAD")
    if (origin is not None and origin != f"http://{host}") or (changes and origin is None):
        return "This server answers its own page only."
    opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site in ("cross-site", "same-site") and (changes or not opened):
        return "This server answers its own page only."
    return None


def same(given: str, known: str) -> bool:
    """Compared in constant time."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())


def decorated(send: Send, set_cookie: str | None = None) -> Send:
    """Adds the headers that every answer has; a policy of an answer's own stays."""

    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            known = {name.lower() for name, _ in headers}
            wanted = {
                "content-security-policy": POLICY,
                **_HEADERS,
                **({"set-cookie": set_cookie} if set_cookie else {}),
            }
            headers += [(name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in known]
            message = {**message, "headers": headers}
        await send(message)

    return with_headers


async def _refuse(sentence: str, send: Send) -> None:
    body = sentence.encode() + b"\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
