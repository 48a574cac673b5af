"""What the models of an application know of events: those of the store, then each that comes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Sequence

from recexp.errors import DataError
from recexp.serving.intake import Intake
from recexp.serving.learning import Learner
from recexp.serving.served import Served
from recexp.streaming.events import Event
from recexp.streaming.store import Arrival, EventStore, Receipt, Stored

_AT_ONCE = 500
"""Events that are caught up with before requests have a turn."""


class Feedback:
    """Events on their way into a store and into the models, which learn from them.

    `ready` once those are caught up with that the store had at the start; `on_ready` is then
    called, or with the error that is in the way.
    """

    def __init__(
        self,
        served: Sequence[Served],
        store: EventStore,
        on_ready: Callable[[Exception | None], None],
    ) -> None:
        self.ready = False
        self._served = served
        self._store = store
        self._on_ready = on_ready
        self._intake = Intake(store, self._take)
        self._learners = [Learner(one, store.url) for one in served]

    @property
    def n_waiting(self) -> int:
        """The number of events that wait to be stored."""
        return self._intake.n_waiting

    async def add(self, arrivals: Sequence[Arrival]) -> Receipt:
        """Store events and let the models take them (see `Intake.add`)."""
        return await self._intake.add(arrivals)

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Within, events are caught up with, taken and learned from; what waits is stored last."""
        catching_up = asyncio.create_task(self._catch_up())
        try:
            yield
        finally:
            catching_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await catching_up
            await self._intake.stop()
            for learner in self._learners:
                await learner.stop()

    async def _catch_up(self) -> None:
        """Take what the store has, with pauses for others, then open the doors."""
        try:
            some: list[Stored] = []
            for stored in self._store.read():
                self._check(*stored)
                some.append(stored)
                if len(some) == _AT_ONCE:
                    self._take(some)
                    some = []
                    await asyncio.sleep(0)
            self._take(some)
            for one in self._served:
                one.prepare()
                await asyncio.sleep(0)
        except Exception as error:
            self._on_ready(error)
            return
        self._intake.start()
        for learner in self._learners:
            learner.start()
        # What is here now stays: to look through all ids and titles again for garbage would make
        # requests wait for tens of milliseconds.
        gc.collect()
        gc.freeze()
        self.ready = True
        self._on_ready(None)

    def _check(self, seq: int, event: Event) -> None:
        try:
            self._served[0].live.histories.meaning.check(event)
        except DataError as error:
            raise DataError(
                f"{self._store.where} holds events of other data: number {seq} has {error}; "
                "give --events another store"
            ) from None

    def _take(self, stored: list[Stored]) -> None:
        """Let every model take events, which are in the store."""
        if not stored:
            return
        events = [event for _, event in stored]
        for one, learner in zip(self._served, self._learners, strict=True):
            one.live.take(events)
            learner.tell(stored[-1][0])
