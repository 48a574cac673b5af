"""Batches into a table of a database, each in one transaction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from recexp.arrays import AnyArray
from recexp.data.sql import PASSWORD
from recexp.errors import StorageError
from recexp.writeback.batches import Job


class SqlSink:
    """Writes the table `table` of the database at `url` (an SQLAlchemy URL).

    The table is created if there is none; `<table>_batches` beside it says which batches it holds,
    and is written in the same transactions.
    """

    def __init__(self, url: str, table: str = "recommendations") -> None:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            address = _address(url)
            self._engine = sqlalchemy.create_engine(address)
        except (ArgumentError, NoSuchModuleError):
            raise StorageError(
                "--output is no SQLAlchemy URL that is understood here; it is like "
                "sqlite:///recs.db or postgresql://user@host/database"
            ) from None  # whose message may show a password
        except ImportError as error:
            raise StorageError(
                f"--output needs the driver '{error.name}', which is not installed: install it, "
                "or name another in the URL, such as postgresql+psycopg://"
            ) from error
        self.table = table
        self.where = f"{address.render_as_string(hide_password=True)}, table {table}"

    def begin(self, job: Job, *, replace: bool) -> set[int]:
        import sqlalchemy as sa

        with self._writing(), self._engine.begin() as connection:
            there = set(sa.inspect(connection).get_table_names())
            ours = f"{self.table}_batches" in there
            if self.table in there and not ours:
                raise StorageError(
                    f"{self.where} holds something that recexp did not write; choose another "
                    "--table"
                )
            batches = self._batches()
            if replace and ours:
                for name in (self.table, batches.name):
                    sa.Table(name, sa.MetaData()).drop(connection, checkfirst=True)
            batches.create(connection, checkfirst=True)
            rows = connection.execute(sa.select(batches.c.batch, batches.c.job)).all()
        others = {row.job for row in rows} - {job.text()}
        if others:
            raise StorageError(
                f"{self.where} holds {job.clash(min(others))}; choose another --table, or "
                "--replace to write it anew"
            )
        return {row.batch for row in rows}

    def write(self, job: Job, batch: int, columns: Mapping[str, AnyArray]) -> None:
        import sqlalchemy as sa

        table, batches = self._lists(columns), self._batches()
        values = [column.tolist() for column in columns.values()]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
        with self._writing(), self._engine.begin() as connection:
            table.create(connection, checkfirst=True)
            # First, so that of two writers of a batch one fails before it has written rows.
            connection.execute(sa.insert(batches), {"batch": batch, "job": job.text()})
            if rows:
                connection.execute(sa.insert(table), rows)

    def finish(self, job: Job) -> None:
        self._engine.dispose()

    def _batches(self) -> Any:
        import sqlalchemy as sa

        return sa.Table(
            f"{self.table}_batches",
            sa.MetaData(),
            sa.Column("batch", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("job", sa.Text, nullable=False),
        )

    def _lists(self, columns: Mapping[str, AnyArray]) -> Any:
        import sqlalchemy as sa

        # Some databases want to know how long a key can be.
        text = sa.Text().with_variant(sa.String(255), "mysql", "mariadb", "mssql", "oracle")

        def of(name: str) -> Any:
            return sa.BigInteger if columns[name].dtype.kind == "i" else text

        return sa.Table(
            self.table,
            sa.MetaData(),
            sa.Column("user_id", of("user_id"), primary_key=True, autoincrement=False),
            sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("item_id", of("item_id"), nullable=False),
            sa.Column("score", sa.Float, nullable=False),
            sa.Column("source", sa.String(20), nullable=False),
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            reason = _first(getattr(error, "orig", None) or error)
            raise StorageError(
                f"{self.where} cannot be written ({reason}); what was written so far is kept: "
                "start again to continue"
            ) from None


def _address(url: str) -> Any:
    """The parsed URL, with the password that a source in a database would get."""
    import sqlalchemy

    address = sqlalchemy.make_url(url)
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    asks = address.host is not None and address.password in (None, "***")
    if asks and (password := os.environ.get(PASSWORD)):
        address = address.set(password=password)
    return address


def _first(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
