"""Who may ask, from where, how much: what stands before every endpoint."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeAlias

from starlette.datastructures import Headers
from starlette.responses import Response

from recexp.serving.measures import Measures
from recexp.serving.problems import Problem, problem, shown

log = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1_000_000
"""Of a body."""
MOST_HEADER_BYTES = 32_768
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN = ("/health",)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: that everybody but for /health must send; None: nobody needs one.
        hosts: names in the Host header, so that no web page elsewhere can pretend to be this
            server (DNS rebinding); `*` allows every name.
        addresses: whether plain addresses are allowed too, of which no page can pretend anything.
    """

    token: str | None = None
    hosts: Collection[str] = LOOPBACK
    addresses: bool = False

    def host_allowed(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        name = _name(host)
        if "*" in self.hosts or name in self.hosts:
            return True
        if not self.addresses:
            return False
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def token_sent(self, authorization: str) -> bool:
        """Return whether an Authorization header has the token, if one is needed."""
        if self.token is None:
            return True
        scheme, _, sent = authorization.partition(" ")
        # As bytes: of texts, compare_digest takes ASCII only.
        same = hmac.compare_digest(sent.strip().encode("latin-1"), self.token.encode())
        return same and scheme.lower() == "bearer"


class Gate:
    """ASGI middleware: refuses what may not pass, measures what does, and keeps errors to itself.

    Routes see the path as it was sent: an id may contain `%2F`. `unauthorized` answers `GET /`
    without the token: the page, which asks for it.
    """

    def __init__(
        self,
        app: App,
        access: Access,
        measures: Measures,
        unauthorized: Callable[[], Response],
    ) -> None:
        self._app = app
        self._access = access
        self._measures = measures
        self._unauthorized = unauthorized

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        started = False

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                own = {name for name, _ in message["headers"]}
                message["headers"] += [one for one in (*_HEADERS, _POLICY) if one[0] not in own]
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, sending)
            else:
                scope["path"] = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
                await self._app(scope, _limited(receive), sending)
        except Exception:
            log.exception("%s %s failed", scope["method"], shown(scope["path"]))
            if not started:
                answer = problem(500, "something went wrong in the server; its log says what")
                await answer(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._measures.request(scope["method"], route, status, time.perf_counter() - start)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._access.host_allowed(headers.get("host", "")):
            return problem(
                400,
                f"this server does not go by the name {shown(headers.get('host', ''))!r}; "
                "start it with --allowed-host NAME",
            )
        path, method = scope["path"], scope["method"]
        if path not in _OPEN and not self._access.token_sent(headers.get("authorization", "")):
            if path == "/" and method in ("GET", "HEAD"):
                return self._unauthorized()
            return problem(
                401,
                "send the header 'Authorization: Bearer TOKEN', with the token of this server",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return problem(431, f"the headers have more than {MOST_HEADER_BYTES:,} bytes")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:12]) > MOST_BYTES:
            return problem(413, f"the body has more than {MOST_BYTES:,} bytes")
        return None


class Rate:
    """How many events each client may send: `per_second`, and as many at once.

    A request goes through when the client has any left; more than were left are missing later.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, client: str, n: int) -> None:
        """Take `n` from what a client has left. Raises Problem 429 when nothing is."""
        rate = self._per_second
        if rate is None:
            return
        now = time.monotonic()
        most = max(rate, 1.0)
        left, then = self._left.get(client, (most, now))
        left = min(most, left + (now - then) * rate)
        if left < 1:
            wait = int((1 - left) / rate) + 1
            raise Problem(
                429,
                f"more than {rate:g} events a second; go on in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        if len(self._left) > _MOST_CLIENTS:
            self._left = {
                one: known
                for one, known in self._left.items()
                if known[0] + (now - known[1]) * rate < most
            }
        self._left[client] = (left - n, now)


_MOST_CLIENTS = 10_000


def _limited(receive: Receive) -> Receive:
    """The same, but no more than a body's worth: not every body says how long it is."""
    n = 0

    async def receiving() -> Message:
        nonlocal n
        message = await receive()
        n += len(message.get("body", b""))
        if n > MOST_BYTES:
            raise Problem(413, f"the body has more than {MOST_BYTES:,} bytes")
        return message

    return receiving


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")
