"""Batches into a table of a database, each in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from recexp.arrays import AnyArray
from recexp.data.address import failure, masked, sql_address, sql_engine, sql_errors
from recexp.errors import StorageError
from recexp.writeback.batches import Job


class SqlSink:
    """Writes the table `table` of the database at `url` (an SQLAlchemy URL).

    The table is created if there is none; `<table>_batches` beside it says which batches it holds,
    and is written in the same transactions.
    """

    def __init__(self, url: str, table: str = "recommendations") -> None:
        self._address = sql_address(url, "--output")
        self._engine = sql_engine(self._address, "--output")
        self.table = table
        self.where = f"{masked(self._address)}, table {table}"

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
        try:
            yield
        except sql_errors() as error:
            told = failure(self._address, error, f"cannot take rows into table {self.table}")
            raise StorageError(
                f"{told}; what was written so far is kept: start again to continue"
            ) from None
