"""What is acknowledged is on the disk, once, in order, and written by one process alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recexp.errors import ConfigError, StorageError
from recexp.streaming.events import Event
from recexp.streaming.store import TABLE, Arrival, EventStore, Receipt

POSTGRES = os.environ.get("RECEXP_TEST_POSTGRES_URL")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store that is not there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'events.db'}"
        return
    if not POSTGRES:
        pytest.skip("no RECEXP_TEST_POSTGRES_URL")
    name = f"events_{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield POSTGRES.rpartition("/")[0] + f"/{name}"
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def like(id_: str, user: Any = 1, item: Any = 2, time: int = 1_000) -> Event:
    return Event(id_, user, item, "like", None, time)


def sent(*events: Event, dated: bool = True) -> list[Arrival]:
    return [Arrival(event, dated) for event in events]


def test_what_was_appended_is_read_in_order_by_anybody(url: str) -> None:
    odd = Event("'; DROP TABLE recexp_events;--", "ü\x00\u2028/..", "7", "like", None, -5)
    rated = Event("é" * 200, 7, 2**63 - 1, "rating", 0.1, 253_402_300_799)
    store = EventStore(url)
    with store.writing():
        stored, receipts = store.append([sent(odd, rated), sent(like("a"))])
        assert list(EventStore(url).read()) == stored == [(1, odd), (2, rated), (3, like("a"))]
        assert receipts == [Receipt(2, 0), Receipt(1, 0)]
    assert list(EventStore(url).read(after=2)) == [(3, like("a"))]


def test_an_event_sent_again_changes_nothing(url: str) -> None:
    store = EventStore(url)
    with store.writing():
        store.append([sent(like("a"), like("b"))])
        stored, receipts = store.append([sent(like("b"), like("c"), like("c"))])
        assert receipts == [Receipt(1, 2)]
        assert stored == [(3, like("c"))]
    with store.writing():  # and after a restart
        assert store.append([sent(like("a"))]) == ([], [Receipt(0, 1)])
    assert [event.id for _, event in store.read()] == ["a", "b", "c"]


def test_another_event_under_the_same_id_is_refused_with_all_that_came_with_it(url: str) -> None:
    store = EventStore(url)
    other = like("a", item=3)
    with store.writing():
        store.append([sent(like("a"))])
        stored, receipts = store.append(
            [sent(like("b"), other), sent(like("b")), sent(like("d"), like("d", user=9))]
        )
    assert receipts == [Receipt(0, 0, ("a",)), Receipt(1, 0), Receipt(0, 0, ("d",))]
    assert [event for _, event in stored] == [like("b")]
    assert [event for _, event in store.read()] == [like("a"), like("b")]


def test_ids_differ_by_their_case_and_by_their_type(url: str) -> None:
    store = EventStore(url)
    with store.writing():
        _, receipts = store.append([sent(like("a"), like("A"), like("b", user=7))])
        assert receipts == [Receipt(3, 0)]
        _, receipts = store.append([sent(like("b", user="7"))])
        assert receipts == [Receipt(0, 0, ("b",))]


def test_the_time_of_an_event_counts_only_when_it_was_sent(url: str) -> None:
    store = EventStore(url)
    with store.writing():
        store.append([sent(like("a", time=10))])
        assert store.append([sent(like("a", time=20), dated=False)])[1] == [Receipt(0, 1)]
        assert store.append([sent(like("a", time=20))])[1] == [Receipt(0, 0, ("a",))]


def test_many_events_are_read_in_pages(url: str) -> None:
    store = EventStore(url)
    events = [like(f"{n:05}", item=n) for n in range(12_000)]
    with store.writing():
        store.append([sent(*events)])
    assert [event for _, event in store.read()] == events


def test_a_second_writer_is_refused_in_one_line_and_readers_are_not(url: str) -> None:
    first, second = EventStore(url), EventStore(url)
    with first.writing():
        first.append([sent(like("a"))])
        with pytest.raises(StorageError, match="in use by another server"), second.writing():
            pass
        assert len(list(second.read())) == 1
    with second.writing():
        second.append([sent(like("b"))])
    assert len(list(first.read())) == 2


_WRITER = """
import sys
from recexp.streaming.events import Event
from recexp.streaming.store import Arrival, EventStore
store = EventStore(sys.argv[1])
with store.writing():
    for n in range(10**9):
        store.append([[Arrival(Event(str(n), n, n, "like", None, n))]])
        print(n, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9_and_so_does_the_right_to_write(url: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        acknowledged = [int(child.stdout.readline()) for _ in range(20)]
        store = EventStore(url)
        with pytest.raises(StorageError, match="in use"), store.writing():
            pass
    finally:
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
    acknowledged += [int(line) for line in rest.splitlines()]
    assert acknowledged == list(range(len(acknowledged)))
    there = [event.user for _, event in store.read()]
    assert there[: len(acknowledged)] == acknowledged
    with store.writing():
        assert store.append([sent(like("0", 0, 0, 0))])[1] == [Receipt(0, 1)]


@pytest.mark.parametrize("n_before", [0, 1])
def test_what_was_stored_although_it_failed_is_told_with_the_next_events(
    url: str, monkeypatch: pytest.MonkeyPatch, n_before: int
) -> None:
    """A connection that breaks in a commit leaves open whether the events are stored."""
    store = EventStore(url)
    with store.writing():
        store.append([sent(like("a"))] * n_before)
        dialect = store._engine.dialect
        commit = dialect.do_commit

        def commits_and_breaks(connection: Any) -> None:
            commit(connection)
            raise dialect.dbapi.OperationalError("the server closed the connection")

        with monkeypatch.context() as patch:
            patch.setattr(dialect, "do_commit", commits_and_breaks)
            with pytest.raises(StorageError, match="send them again"):
                store.append([sent(like("b"))])
        stored, receipts = store.append([sent(like("b")), sent(like("c"))])
    assert stored == [(n_before + 1, like("b")), (n_before + 2, like("c"))]
    assert receipts == [Receipt(0, 1), Receipt(1, 0)]


def test_sqlite_syncs_with_every_commit(tmp_path: Path) -> None:
    store = EventStore(f"sqlite:///{tmp_path / 'events.db'}")
    with store.writing():
        modes = store._connection.exec_driver_sql("PRAGMA synchronous").scalar()
        assert modes == 2  # FULL
        assert store._connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize(
    ("address", "error", "told"),
    [
        ("sqlite://", ConfigError, "memory"),
        ("nonsense", ConfigError, "no database URL"),
        ("sqlite:////no/such/folder/events.db", StorageError, "cannot be opened"),
    ],
)
def test_an_address_that_does_not_work_is_told_in_one_line(
    address: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught, EventStore(address).writing():
        pass
    assert "\n" not in str(caught.value)


def test_reading_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with pytest.raises(StorageError, match="no such file"):
        list(EventStore(f"sqlite:///{path}").read())
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {TABLE} (mine INTEGER)")
    other = EventStore(f"sqlite:///{path}")
    with pytest.raises(StorageError, match="cannot be opened"), other.writing():
        pass
    path.write_text("no database at all, and long enough to be looked at as one" * 100)
    with pytest.raises(StorageError, match="holds no events"):
        list(EventStore(f"sqlite:///{path}").read())


def test_elsewhere_a_lease_keeps_others_out_until_it_is_given_back_or_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of databases of whose locks nothing is known."""
    monkeypatch.setattr("recexp.streaming.writers._CLAIMS", {})
    url = f"sqlite:///{tmp_path / 'events.db'}"
    first, second = EventStore(url), EventStore(url)
    for _ in range(2):
        with first.writing():
            first.append([sent(like("a"))])
            with pytest.raises(StorageError, match="in use by another server"), second.writing():
                pass
    monkeypatch.setattr("recexp.streaming.writers._SECONDS", 3)
    with first.writing():
        time.sleep(4.5)  # renewed
        with pytest.raises(StorageError, match="in use by another server"), second.writing():
            pass
        # A process that is dead renews nothing.
        later = time.time() + 60
        monkeypatch.setattr("time.time", lambda: later)
        with second.writing():
            second.append([sent(like("b"))])
            # Whoever wakes up after it lost the lease cannot mix its events in.
            with pytest.raises(StorageError, match="send them again"):
                first.append([sent(like("c"))])
    assert [event.id for _, event in first.read()] == ["a", "b"]
