"""People's own data: interactions in a database, with tables of items and users."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from recexp.arrays import AnyArray
from recexp.data.address import failure, masked, reason, sql_address, sql_engine, sql_errors
from recexp.data.cleaning import Choices, Table, to_dataset
from recexp.data.dataset import Dataset
from recexp.data.parquet import shown
from recexp.data.readers import rejected_path
from recexp.data.rejected import OnBadRows, Rejected
from recexp.data.roles import check_declared, find_roles
from recexp.data.side_tables import SideTable, attach, check_options, choose_columns
from recexp.data.snapshot import through_snapshot
from recexp.data.typed import TypedColumns
from recexp.errors import ConfigError, DataError, did_you_mean, redacted

log = logging.getLogger(__name__)

CHUNK = 20_000
"""Rows that are fetched at once."""
READ_ONLY = {
    "sqlite": "pragma query_only = on",
    "postgresql": "set default_transaction_read_only = on",
    "mysql": "set session transaction read only",
    "mariadb": "set session transaction read only",
}
"""What makes all that follows on a connection only read, by kind of database.

Without, what a query changes is undone at the end, but not by every database all of it.
"""
SIDE_OPTIONS = ("table", "query", "id", "columns")


def load_sql(
    url: str,
    table: str | None = None,
    query: str | None = None,
    columns: Mapping[str, str | int | None] | None = None,
    scale: Sequence[float] | None = None,
    items: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    on_bad_rows: OnBadRows = "report",
    rejected: str | None = None,
    snapshot: Literal["auto", "last", "off"] = "auto",
    name: str | None = None,
) -> Dataset:
    """Return the interactions in a table or the result of a query of any SQLAlchemy database.

    Args:
        url: `sqlite:///shop.db`, `postgresql://user@host/shop`. Its password comes from
            RECEXP_SQL_PASSWORD, or from what the driver knows (PGPASSWORD, .pgpass); one written
            in the URL is used, and never recorded.
        table: a table or view, `schema.table`; checked against the database's catalogue.
        query: instead, a SELECT, sent as it stands.
        items, users: tables of them in the same database: {table or query, id, columns}.
        snapshot: auto (read the database, and keep what it said), last (what was kept last; the
            database is not asked), or off.

    Columns, scale, on_bad_rows, rejected, name and what becomes of the values: as in
    `readers.load_csv`. Rows are fetched in chunks; nothing is ever written. The facts have the
    query, the rows and their hash. Raises DataError when the database cannot be reached or read,
    ConfigError for options that are none.
    """
    check_declared(columns or {})
    source = {"table": table, "query": query}
    sides = {"items": items, "users": users}
    _check_source(source, "dataset")
    for side, options in sides.items():
        check_options(options, side, SIDE_OPTIONS)
        if options:
            _check_source(options, f"dataset.{side}")
    address = sql_address(url)
    hidden = masked(address)
    name = name or (table or str(address.database or "query")).rpartition("/")[2]
    identity = {
        "reader": "sql",
        "url": hidden,
        **source,
        "options": [columns, scale, on_bad_rows, rejected],
        "tables": sides,
    }

    listed = Path(rejected) if rejected else rejected_path(name, identity)
    choices = Choices(name, scale, on_bad_rows, listed)
    choices.check()

    def read() -> Dataset:
        with _connected(address) as connection:
            found, bad, facts = _read(connection, source, columns)
            dataset = to_dataset(found, bad, choices, {"source": "SQL", "url": hidden, **facts})
            names = dataset.facts["columns"]
            for side, options in sides.items():
                if options:
                    rows = _side(connection, side, options, names[side[:-1]])
                    dataset = attach(dataset, side, rows)
        return dataset

    return through_snapshot(name, identity, None, snapshot, read)


def _read(
    connection: Any, source: Mapping[str, Any], columns: Mapping[str, str | int | None] | None
) -> tuple[Table, Rejected, dict[str, Any]]:
    where = source["table"] or "the query"
    with _selected(connection, source) as (header, statement, chunks):
        roles = find_roles(header, columns, where)
        wanted = itemgetter(*roles.positions.values())
        filled = TypedColumns(list(roles.positions))
        try:
            for chunk in chunks:
                filled.add([wanted(row) for row in chunk])
        except sql_errors() as error:
            what = f"broke off after {filled.n_rows:,} rows"
            raise DataError(failure(connection.engine.url, error, what)) from None
    if filled.n_rows == 0:
        raise DataError(f"{where} has no rows; expected at least one interaction")

    def place(rows: AnyArray) -> list[tuple[int, int]]:
        return [(0, row + 1) for row in rows.tolist()]

    table = Table(
        where,
        roles.names,
        filled.ids("user"),
        filled.ids("item"),
        filled.ratings(),
        filled.moments(),
        unread=filled.unread,
    )
    facts = {
        **{key: redacted(value) for key, value in source.items() if value},
        "statement": redacted(statement),
        "columns": dict(roles.names),
        "columns_guessed": list(roles.guessed),
        "repairs": {},
    }
    return table, Rejected(where, filled.n_rows, [where], [], place, table.text, {}), facts


def _side(connection: Any, side: str, options: Mapping[str, Any], ids_named: str) -> SideTable:
    where = options.get("table") or f"the query of dataset.{side}"
    with _selected(connection, options) as (header, statement, chunks):
        id_column, chosen = choose_columns(header, options, side, where, ids_named)
        wanted = {name: header.index(name) for name in {id_column, *chosen.values()}}
        texts: dict[str, list[str]] = {name: [] for name in wanted}
        try:
            for chunk in chunks:
                for name, place in wanted.items():
                    texts[name] += [shown(row[place]) for row in chunk]
        except sql_errors() as error:
            raise DataError(failure(connection.engine.url, error, "broke off")) from None
    columns = {new: texts[name] for new, name in chosen.items()}
    facts = {"statement": redacted(statement)}
    return SideTable(where, texts[id_column], columns, id_column, facts)


@contextmanager
def _selected(
    connection: Any, source: Mapping[str, Any]
) -> Iterator[tuple[list[str], str, Iterator[Sequence[Any]]]]:
    """The names of the columns, the statement, and the rows in chunks."""
    options = {"stream_results": True, "yield_per": CHUNK}
    try:
        if source.get("query"):
            statement = str(source["query"])
            # As it stands: colons and percent signs in it are no parameters.
            result = connection.exec_driver_sql(
                statement, execution_options={**options, "no_parameters": True}
            )
        else:
            selection = _selection(connection, str(source["table"]))
            statement = str(selection.compile(dialect=connection.dialect))
            result = connection.execute(selection, execution_options=options)
    except sql_errors() as error:
        raise DataError(failure(connection.engine.url, error, "refused the query")) from None
    if not result.returns_rows:
        raise ConfigError("dataset.query gives no rows; expected a SELECT")
    try:
        yield list(map(str, tuple(result.keys()))), statement, result.partitions(CHUNK)
    finally:
        result.close()


def _selection(connection: Any, name: str) -> Any:
    """SELECT of all columns of a table that the catalogue has; names are quoted by SQLAlchemy."""
    import sqlalchemy as sa

    catalogue = sa.inspect(connection)
    schema: str | None = None
    known = [*catalogue.get_table_names(), *catalogue.get_view_names()]
    table = name
    if name not in known and "." in name:
        schema, _, table = name.partition(".")
        if schema not in catalogue.get_schema_names():
            raise DataError(
                f"the database has no schema {schema!r}"
                + did_you_mean(schema, catalogue.get_schema_names())
            )
        known = [*catalogue.get_table_names(schema), *catalogue.get_view_names(schema)]
    if table not in known:
        raise DataError(f"the database has no table {name!r}{did_you_mean(table, known)}")
    columns: list[Any] = [sa.column(one["name"]) for one in catalogue.get_columns(table, schema)]
    return sa.select(*columns).select_from(sa.table(table, *columns, schema=schema))


def _check_source(source: Mapping[str, Any], key: str) -> None:
    if bool(source.get("table")) == bool(source.get("query")):
        raise ConfigError(f"{key} needs a table or a query: set one of {key}.table, {key}.query")


@contextmanager
def _connected(address: Any) -> Iterator[Any]:
    """A connection that only reads."""
    backend, file = address.get_backend_name(), address.database
    named = backend == "sqlite" and file and file != ":memory:" and not file.startswith("file:")
    if named and not Path(file).is_file():
        raise DataError(f"{Path(file).absolute()} is no file; set dataset.url to sqlite:///FILE")
    engine = sql_engine(address)
    try:
        connection = engine.connect()
        if backend in READ_ONLY:
            connection.exec_driver_sql(READ_ONLY[backend])
            connection.commit()
    except sql_errors() as error:
        raise DataError(failure(address, error, "cannot be reached")) from None
    try:
        yield connection
    finally:
        try:
            connection.close()  # without a commit: whatever the query did is undone
        except sql_errors() as error:
            log.debug("closing: %s", reason(error, address))
        engine.dispose()
