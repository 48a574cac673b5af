"""The process that listens: uvicorn, told how to end."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recexp.errors import RecexpError, StorageError

MOST_AT_ONCE = 1_000
"""Connections, and requests in work; beyond them uvicorn answers 503."""
_MOST_HEAD_BYTES = 65_536
_PATIENCE = 10
"""Seconds that requests have to end once the server is asked to."""


def run(
    application: Callable[[Callable[[Exception | None], None]], FastAPI],
    bound: socket.socket,
    on_ready: Callable[[Exception | None], None],
) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, finish what is being answered, and return 0.

    `application` makes the application, of the function that it calls when it is ready, or cannot
    become so; that is then raised here, as a RecexpError.
    """
    failures: list[Exception] = []

    def ready(error: Exception | None) -> None:
        if error is not None:
            failures.append(error)
            server.should_exit = True
        on_ready(error)

    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        application(ready),
        http=_Protocol,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=MOST_AT_ONCE,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_PATIENCE,
    )
    server = _Server(config)
    server.run(sockets=[bound])
    for error in failures:
        if isinstance(error, RecexpError):
            raise error
        raise StorageError(
            f"the events cannot be caught up with ({type(error).__name__})"
        ) from error
    return 0


class _Protocol(HttpToolsProtocol):
    """Ends connections whose head, or trailer, does not end: the parser would keep all of it."""

    _n_bytes = 0
    """That came since the parser got anywhere."""

    def data_received(self, data: bytes) -> None:
        self._n_bytes += len(data)
        super().data_received(data)
        if self._n_bytes > _MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"the head has more than {_MOST_HEAD_BYTES:,} bytes")

    def on_message_begin(self) -> None:
        self._n_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._n_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._n_bytes = 0
        super().on_body(body)


class _Server(uvicorn.Server):
    """Ends in order at a signal, and does not raise it again: nobody did anything wrong."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        names = [
            signal.SIGINT,
            signal.SIGTERM,
            *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),
        ]
        before = {one: signal.signal(one, self.handle_exit) for one in names}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
