"""Learning beside the requests: increments in a thread, refits in a child process."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from recexp.errors import RecexpError
from recexp.serving.served import Served
from recexp.streaming.live import Learned
from recexp.streaming.refit import Refit

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.5
_PAUSE = 0.05
"""Between increments, so that events that come together are learned together."""
_PAUSE_AFTER_FAILURE = 5.0


class Learner:
    """Lets one model in service learn: what is learned is adopted whole, on the event loop.

    `url` is that of the store, which a child reads.
    """

    def __init__(self, served: Served, url: str) -> None:
        self._served = served
        self._url = url
        self._came = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._last_seq = 0

    def start(self) -> None:
        if self._served.policy == "incremental":
            self._tasks.append(asyncio.create_task(self._increments()))
            self._came.set()  # what the store had at the start
        if self._served.refit_every is not None:
            self._tasks.append(asyncio.create_task(self._refits()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell(self, seq: int) -> None:
        """Say that the model took the events up to number `seq`."""
        self._last_seq = seq
        self._came.set()

    async def _increments(self) -> None:
        live = self._served.live
        while True:
            await self._came.wait()
            self._came.clear()
            if not live.n_pending:
                continue
            before = live.learned
            try:
                learned = await asyncio.to_thread(live.taught)
            except Exception as error:
                self._failed("learning from events", error)
                await asyncio.sleep(_PAUSE_AFTER_FAILURE)
                continue  # with the next events
            if live.learned is before:
                live.adopt(learned)
            if live.n_pending:  # more came meanwhile, or a refit knows less
                self._came.set()
            await asyncio.sleep(_PAUSE)

    async def _refits(self) -> None:
        live, every = self._served.live, self._served.refit_every
        assert every is not None
        last, n_learned, n_tried = time.monotonic(), live.learned.n_new, live.learned.n_new
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            # What failed is tried again after as many more events, or as much more time.
            since = n_learned if every.n_new is None else n_tried
            if not every.due(live.histories.n_new - since, time.monotonic() - last):
                continue
            last, n_tried = time.monotonic(), live.histories.n_new
            try:
                learned = await self._refit()
            except Exception as error:
                self._failed("fitting anew", error)
                continue
            n_learned = n_tried = learned.n_new
            live.adopt(replace(learned, version=live.learned.version + 1))
            self._served.n_refits += 1
            self._served.failure = None
            self._came.set()
            log.info("%s: fitted anew, with %d events", self._served.name, learned.n_new)

    async def _refit(self) -> Learned:
        run = self._served.run
        with tempfile.TemporaryDirectory(prefix="recexp-refit-") as folder:
            refit = Refit(
                run.folder, run.trusted, self._url, self._last_seq, Path(folder) / "model"
            )
            child = refit.start()
            try:
                return await asyncio.to_thread(refit.learned, child)
            finally:
                if child.poll() is None:
                    child.kill()
                    await asyncio.to_thread(child.wait)

    def _failed(self, what: str, error: Exception) -> None:
        self._served.n_failed += 1
        # Clients read this: paths and addresses are for the log alone.
        self._served.failure = f"{what} failed; the log of the server says why"
        if isinstance(error, RecexpError):
            log.warning("%s: %s; it goes on with what it knows", self._served.name, error)
        else:
            log.error("%s: %s failed", self._served.name, what, exc_info=error)
