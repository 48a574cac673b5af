"""A durable store of events: nothing is acknowledged that is not on the disk."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from recexp.data.address import failure, masked, sql_address, sql_engine, sql_errors
from recexp.errors import ConfigError, StorageError
from recexp.streaming.events import Event
from recexp.streaming.writers import only_writer

TABLE = "recexp_events"
_PAGE = 5_000

Stored: TypeAlias = tuple[int, Event]
"""An event with its number in the store."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it was sent; `dated` says whether with its time, or whether that is the server's.

    The time of an event that is sent again without one says nothing.
    """

    event: Event
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the events that came together: all of them are kept, or none.

    Attributes:
        n_new: how many were stored now.
        n_duplicates: how many were there before, with the same content.
        conflicts: ids that are there with another content; if there are any, nothing was stored.
    """

    n_new: int
    n_duplicates: int
    conflicts: tuple[str, ...] = ()


class EventStore:
    """The table `recexp_events` of a database (an SQLAlchemy URL): events in the order they came.

    Rows are only ever added. Anybody may `read`; `append` belongs to the one that holds `writing`.
    """

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa

        self.url = url
        self._address = sql_address(url, "--events")
        if self._address.get_backend_name() == "sqlite" and self._address.database in (
            None,
            "",
            ":memory:",
        ):
            raise ConfigError(f"--events={url}: events in memory are lost; give sqlite:///FILE")
        self._engine = sql_engine(self._address, "--events")
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _patient)
        self._table = _table()
        self._connection: Any = None
        self._release: Callable[[], None] | None = None
        self._last: int | None = None
        """The number of the newest event that was told; None before the first connection."""

    @property
    def where(self) -> str:
        """The address, without a password."""
        return masked(self._address)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within, events may be appended by this process, and by no other.

        The table is created if there is none. Raises StorageError when another process is writing,
        alive on whatever machine, or when the database does not let itself be written.
        """
        try:
            with self._told("cannot be opened to write events"):
                self._connect()
            yield
        finally:
            self._disconnect()
            self._engine.dispose()

    def read(self, after: int = 0) -> Iterator[Stored]:
        """Yield events with their numbers, in the order they came, those beyond `after`.

        No transaction stays open in between. Raises StorageError when there is no such table.
        """
        import sqlalchemy as sa

        columns = self._table.c
        path = self._address.database
        if self._engine.dialect.name == "sqlite" and not Path(path).is_file():
            raise StorageError(f"{self.where}: there is no such file")
        while True:
            page = sa.select(self._table).where(columns.seq > after).order_by(columns.seq)
            with self._told("holds no events that can be read"), self._engine.connect() as reading:
                rows = reading.execute(page.limit(_PAGE)).all()
            for row in rows:
                yield row.seq, _event(row)
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq

    def append(self, requests: Sequence[Sequence[Arrival]]) -> tuple[list[Stored], list[Receipt]]:
        """Store the events of several requests in one transaction, on the disk when this returns.

        Returns what was stored since the last call, in order, and a receipt for each request. The
        former is more than the new events when an earlier call failed after the database had stored
        them. Raises StorageError when nothing is sure to be stored; then try again.
        """
        import sqlalchemy as sa

        with self._told("did not take the events; nothing is lost, send them again"):
            missed = self._connect()
            assert self._last is not None
            try:
                with self._connection.begin():
                    known = self._known({one.event.id for r in requests for one in r})
                    new, receipts = _sorted_out(requests, known)
                    stored = list(enumerate(new, start=self._last + 1))
                    if new:
                        rows = [_row(seq, event) for seq, event in stored]
                        self._connection.execute(sa.insert(self._table), rows)
            except BaseException:
                # Whether a broken commit is stored only a new connection can tell.
                self._disconnect()
                raise
        self._last += len(new)
        return missed + stored, receipts

    def _connect(self) -> list[Stored]:
        """Take up writing, also after the connection broke; return what was stored meanwhile."""
        if self._connection is not None:
            return []
        import sqlalchemy as sa

        # Detached: it ends when it is closed, and the right to write with it.
        connection = self._engine.connect()
        connection.detach()
        try:
            release = only_writer(connection, self.where)
        except BaseException:
            connection.close()
            raise
        self._connection, self._release = connection, release
        try:
            if self._engine.dialect.name == "sqlite":  # readers then read meanwhile
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.commit()
            with connection.begin():
                self._table.create(connection, checkfirst=True)
                newest = connection.execute(sa.select(sa.func.max(self._table.c.seq))).scalar()
            missed = [] if self._last is None else list(self.read(self._last))
        except BaseException:
            self._disconnect()
            raise
        self._last = newest or 0
        return missed

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._release is not None:
            self._release()
        self._connection = self._release = None

    def _known(self, ids: set[str]) -> dict[str, Event]:
        import sqlalchemy as sa

        found: dict[str, Event] = {}
        asked = sorted(ids)
        for start in range(0, len(asked), 500):  # databases limit the number of parameters
            some = self._table.c.event_id.in_(asked[start : start + 500])
            rows = self._connection.execute(sa.select(self._table).where(some)).all()
            found |= {row.event_id: _event(row) for row in rows}
        return found

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sql_errors() as error:
            raise StorageError(failure(self._address, error, what)) from None


def _sorted_out(
    requests: Sequence[Sequence[Arrival]], known: dict[str, Event]
) -> tuple[list[Event], list[Receipt]]:
    """What is to be stored of requests, in their order, and what each of them is told."""
    new: list[Event] = []
    receipts = []
    for request in requests:
        own: dict[str, Event] = {}
        n_duplicates = 0
        conflicts = []
        for arrival in request:
            event = arrival.event
            before = own.get(event.id) or known.get(event.id)
            if before is None:
                own[event.id] = event
            elif _content(before, arrival.dated) == _content(event, arrival.dated):
                n_duplicates += 1
            else:
                conflicts.append(event.id)
        if conflicts:
            receipts.append(Receipt(0, 0, tuple(dict.fromkeys(conflicts))))
            continue
        known |= own
        new += own.values()
        receipts.append(Receipt(len(own), n_duplicates))
    return new, receipts


def _content(event: Event, dated: bool) -> tuple[Any, ...]:
    said = (event.user, event.item, event.kind, event.value)
    return (*said, event.timestamp) if dated else said


def _row(seq: int, event: Event) -> dict[str, Any]:
    return {
        "seq": seq,
        "event_id": event.id,
        "user": json.dumps(event.user),
        "item": json.dumps(event.item),
        "kind": event.kind,
        "value": event.value,
        "timestamp": event.timestamp,
        "received_at": time.time(),
    }


def _event(row: Any) -> Event:
    return Event(
        row.event_id,
        json.loads(row.user),
        json.loads(row.item),
        row.kind,
        row.value,
        row.timestamp,
    )


def _table() -> Any:
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    # Ids differ by case too.
    exact = sa.String(255).with_variant(mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql")
    double: Any = sa.Double()
    return sa.Table(
        TABLE,
        sa.MetaData(),
        # Numbered by the one writer: two of them would clash instead of mixing their events.
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", exact, nullable=False, unique=True),
        # As JSON, which tells 7 from "7" and has a way to write every character.
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("value", double),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("received_at", double, nullable=False),
    )


def _patient(connection: Any, _: Any) -> None:
    """Let SQLite sync with every commit, and wait for others."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
