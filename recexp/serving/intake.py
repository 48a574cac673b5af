"""The way of an event: stored by one thread, then taken by every model, then acknowledged."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recexp.errors import StorageError
from recexp.streaming.store import Arrival, EventStore, Receipt, Stored

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 5_000
"""Events of one transaction."""
MOST_WAITING = 50_000


@dataclass(frozen=True, slots=True)
class _Request:
    arrivals: Sequence[Arrival]
    receipt: asyncio.Future[Receipt]


class Intake:
    """Takes the events of many requests into a store, those that wait in one transaction.

    When a receipt comes, its events are on the disk and `take` was called with them: in the order
    of the store, on the event loop's thread.
    """

    def __init__(self, store: EventStore, take: Callable[[list[Stored]], None]) -> None:
        self._store = store
        self._take = take
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self.n_waiting = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that writes; the event loop is the one that runs now."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, args=(loop,), name="recexp-events")
        self._thread.start()

    async def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)

    async def add(self, arrivals: Sequence[Arrival]) -> Receipt:
        """Store events, have them taken, and return the receipt.

        Raises StorageError when they could not be stored, or too many wait already.
        """
        if self.n_waiting + len(arrivals) > MOST_WAITING:
            raise StorageError("too many events wait to be stored; send them again later")
        request = _Request(arrivals, asyncio.get_running_loop().create_future())
        self.n_waiting += len(arrivals)
        try:
            self._waiting.put(request)
            # Whoever stops waiting has not been told; the events are stored all the same.
            return await asyncio.shield(request.receipt)
        finally:
            self.n_waiting -= len(arrivals)

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while (first := self._waiting.get()) is not None:
            requests = [first]
            n = len(first.arrivals)
            ends = False
            while n < _MOST_AT_ONCE and not ends:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                ends = more is None
                if more is not None:
                    requests.append(more)
                    n += len(more.arrivals)
            try:
                stored, receipts = self._store.append([one.arrivals for one in requests])
            except Exception as error:
                if not isinstance(error, StorageError):
                    log.exception("the events could not be stored")
                    error = StorageError("the events could not be stored; send them again")
                else:
                    log.warning("%s", error)
                loop.call_soon_threadsafe(_refuse, requests, error)
            else:
                loop.call_soon_threadsafe(self._deliver, requests, stored, receipts)
            if ends:
                return

    def _deliver(
        self, requests: list[_Request], stored: list[Stored], receipts: list[Receipt]
    ) -> None:
        try:
            self._take(stored)
        except Exception:  # they are stored all the same
            log.exception("events were stored but not taken by the models; a restart catches up")
        for request, receipt in zip(requests, receipts, strict=True):
            if not request.receipt.done():
                request.receipt.set_result(receipt)


def _refuse(requests: list[_Request], error: Exception) -> None:
    for request in requests:
        if not request.receipt.done():
            request.receipt.set_exception(error)
