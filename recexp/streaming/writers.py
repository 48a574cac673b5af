"""The right to be the one writer of a store, which ends with the process that has it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from recexp.errors import StorageError

_KEY = 0x7265_6365_7870
"""Of the lock among those of a database server."""


def only_writer(connection: Any, where: str) -> Callable[[], None]:
    """Make the owner of an SQLAlchemy `connection` the only writer of its database.

    Returns what ends the right. The death of the process ends it too: at once in SQLite and
    PostgreSQL, elsewhere soon. Raises StorageError when another has it.
    """
    release = _CLAIMS.get(connection.dialect.name, _lease)(connection)
    if release is None:
        raise StorageError(
            f"{where} is in use by another server; stop that one, or give --events another store"
        )
    return release


def _sqlite(connection: Any) -> Callable[[], None] | None:
    """Lock a file beside the database, by SQLite itself: its locks are those of any system."""
    path = connection.engine.url.database
    lock = sqlite3.connect(f"{path}.lock", timeout=0, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" in str(error):
            return None
        raise
    return lock.close


def _postgres(connection: Any) -> Callable[[], None] | None:
    import sqlalchemy as sa

    with connection.begin():
        claim = sa.select(sa.func.pg_try_advisory_lock(_KEY))
        got = connection.execute(claim).scalar()
    return (lambda: None) if got else None


def _lease(connection: Any) -> Callable[[], None] | None:
    """A row that is renewed again and again, for databases without locks that we know."""
    import sqlalchemy as sa

    row = sa.Table(
        "recexp_writer",
        sa.MetaData(),
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    owner, engine = uuid.uuid4().hex, connection.engine
    mine = row.c.owner == owner

    def hold(condition: Any) -> bool:
        values = {"owner": owner, "until": int(time.time()) + _SECONDS}
        with engine.begin() as holding:
            done = holding.execute(sa.update(row).where(condition).values(values))
            return bool(done.rowcount == 1)

    with engine.begin() as making:
        row.create(making, checkfirst=True)
    with contextlib.suppress(sa.exc.IntegrityError), engine.begin() as making:
        making.execute(sa.insert(row).values(one=1, owner="", until=0))
    if not hold(row.c.until < int(time.time())):
        return None
    over = threading.Event()

    def renew() -> None:
        while not over.wait(_SECONDS / 3):
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                hold(mine)

    renewing = threading.Thread(target=renew, name="recexp-lease", daemon=True)
    renewing.start()

    def release() -> None:
        over.set()
        renewing.join()
        with contextlib.suppress(sa.exc.SQLAlchemyError), engine.begin() as giving:
            giving.execute(sa.update(row).where(mine).values(until=0))

    return release


_SECONDS = 30
"""How long a lease outlives its owner."""
_CLAIMS: dict[str, Callable[[Any], Callable[[], None] | None]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
}
