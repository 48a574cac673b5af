"""Databases: SQLite always, PostgreSQL where RECEXP_TEST_POSTGRES_URL names a server."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recexp.data.address import PASSWORD
from recexp.data.dataset import Dataset
from recexp.data.readers import load_csv
from recexp.data.sql import load_sql
from recexp.errors import ConfigError, DataError

SERVER = os.environ.get("RECEXP_TEST_POSTGRES_URL", "")
needs_server = pytest.mark.skipif(not SERVER, reason="RECEXP_TEST_POSTGRES_URL names no server")
ROWS = [
    ("007", 2**60, 4.0, "2020-01-01"),
    ("ü", 1, 2.5, "2020-01-01T10:00:00+02:00"),
    ('say "hi"', 1, 5.0, "2020-01-02 00:00:00"),
    ("007", 1, None, "2020-01-03"),
]
Make = Callable[..., str]


@pytest.fixture
def sqlite(tmp_path: Path) -> Make:
    def make(table: str = "ratings", rows: list[Any] = ROWS) -> str:
        path = tmp_path / "shop.db"
        quoted = '"' + table.replace('"', '""') + '"'
        with sqlite3.connect(path) as db:
            db.execute(f'create table {quoted} (user_id text, "item id", rating real, time text)')
            db.executemany(f"insert into {quoted} values (?, ?, ?, ?)", rows)
            db.execute("create table products (sku integer, title text, price real)")
            db.executemany(
                "insert into products values (?, ?, ?)",
                [(1, "One", 2.0), (1, "again", 3.0), (5, "Five", None)],
            )
        db.close()
        return f"sqlite:///{path}"

    return make


def pairs(dataset: Dataset) -> list[tuple[object, object, float]]:
    it = dataset.interactions
    users, items = dataset.users.to_ids(it.user_idx), dataset.items.to_ids(it.item_idx)
    return list(zip(users, items, it.value.tolist(), strict=True))


def test_a_table_becomes_a_dataset(sqlite: Make) -> None:
    dataset = load_sql(sqlite(), "ratings", columns={"item": "item id"})
    assert pairs(dataset) == [("007", 2**60, 4), ('say "hi"', 1, 5), ("ü", 1, 2.5)]
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [1577836800, 1577923200, 1577865600]
    facts = dataset.facts
    assert (facts["rows_read"], facts["rows_dropped"]) == (4, {"rating not a number": 1})
    assert facts["columns_guessed"] == ["user", "rating", "timestamp"]
    assert facts["statement"].startswith("SELECT ratings.user_id")
    assert facts["sha256"] == dataset.fingerprint
    assert Path(facts["rejected_file"]).read_text().splitlines()[1:] == [
        'ratings,4,rating not a number,"007,1,,2020-01-03"'
    ]


def test_a_rejected_row_shows_what_the_database_has(sqlite: Make) -> None:
    rows = [(f"u{n}", 1, n + 0.5, None) for n in range(9)]
    url = sqlite(rows=[*rows, (None, 1, 2.0, None), ("a", None, 2.25, None), ("b", 1, "n/a", None)])
    choice = {"user": "user_id", "item": "item id", "rating": "rating", "timestamp": ""}
    facts = load_sql(url, "ratings", columns=choice).facts
    assert Path(facts["rejected_file"]).read_text().splitlines()[1:] == [
        'ratings,10,user missing,",1,2"',
        'ratings,11,item missing,"a,,2.25"',
        'ratings,12,rating not a number,"b,1,n/a"',
    ]


def test_a_database_and_a_file_of_the_same_rows_are_the_same_dataset(
    sqlite: Make, tmp_path: Path
) -> None:
    text = "user,item,rating,time\n" + "".join(
        f'"{user.replace(chr(34), chr(34) * 2)}",{item},{"" if rating is None else rating},{time}\n'
        for user, item, rating, time in ROWS
    )
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    expected = load_csv(str(tmp_path / "a.csv")).fingerprint
    assert load_sql(sqlite(), "ratings", columns={"item": "item id"}).fingerprint == expected


def test_names_are_quoted_not_pasted(sqlite: Make) -> None:
    name = 'ra"tings; drop table products; --'
    url = sqlite(name)
    assert len(load_sql(url, name, columns={"item": "item id"}).interactions) == 3
    with pytest.raises(DataError, match=r"no table 'ratings'; accepted: products, ra"):
        load_sql(url, "ratings")
    with pytest.raises(DataError, match="no table 'products where 1=1; drop table products'"):
        load_sql(url, "products where 1=1; drop table products")
    with pytest.raises(DataError, match="no schema 'other'"):
        load_sql(url, "other.products")
    assert len(load_sql(url, "products", columns={"user": "sku", "item": "title"}).items) == 3


def test_a_query_is_sent_as_it_stands(sqlite: Make) -> None:
    query = "select user_id, 'a:b %s 100%' as item_id from ratings where time like '2020-01-0%'"
    dataset = load_sql(sqlite(), query=query)
    assert list(dataset.items.ids) == ["a:b %s 100%"]
    assert dataset.facts["query"] == query


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs a table or a query"),
        ({"table": "a", "query": "b"}, r"needs a table or a query"),
        ({"query": "selec 1"}, r"shop.db refused the query \(near \"selec\": syntax error\)"),
        ({"query": "delete from products"}, r"refused the query \(attempt to write a readonly"),
        ({"query": "drop table products"}, r"refused the query \(attempt to write a readonly"),
        ({"query": "select 1 as a; drop table products"}, "one statement at a time"),
        ({"query": "pragma query_only"}, "no column for the user"),
        ({"query": "begin"}, r"gives no rows; expected a SELECT"),
        ({"query": "select * from products"}, r"no column for the user \(found: sku, title"),
        ({"query": "select 1 as user_id, 2 as item_id where 0"}, "has no rows"),
        ({"table": "products", "items": {"tabel": "x"}}, "did you mean 'table'"),
    ],
)
def test_what_cannot_be_asked_is_told(sqlite: Make, options: Any, message: str) -> None:
    url = sqlite()
    with pytest.raises((DataError, ConfigError), match=message) as caught:
        load_sql(url, **options)
    assert "\n" not in str(caught.value)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        assert db.execute("select count(*) from products").fetchone() == (3,)


def test_a_file_that_is_none_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no.db is no file; set dataset.url to sqlite:///FILE"):
        load_sql(f"sqlite:///{tmp_path / 'no.db'}", "x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at " * 99)
    with pytest.raises(DataError, match="file is not a database"):
        load_sql(f"sqlite:///{tmp_path / 'text.db'}", "x")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is no database URL"),
        ("foo://u:s3cr3t@h/x", "no driver for foo databases"),
        ("postgresql://u:s3cr3t@127.0.0.1:1/x", "u:\\*\\*\\*@127.0.0.1:1/x cannot be reached"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, message: str) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises((DataError, ConfigError), match=message) as caught:
        load_sql(url, "x")
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_table_of_items_is_joined_and_what_does_not_fit_is_counted(sqlite: Make) -> None:
    dataset = load_sql(
        *(sqlite(), "ratings"),
        columns={"item": "item id"},
        items={"table": "products", "id": "sku", "columns": {"name": "title", "price": "price"}},
    )
    assert dict(dataset.item_columns) == {"name": ("One", ""), "price": ("2", "")}
    about = dataset.facts["tables"]["items"]
    assert [about[key] for key in ("rows", "matched", "unmatched_rows", "repeated_ids")] == [
        *(3, 1, 1, 1)
    ]
    assert about["ids_without_row"] == 1


def test_a_database_is_asked_anew_unless_the_last_answer_will_do(sqlite: Make) -> None:
    url = sqlite()
    first = load_sql(url, "ratings", columns={"item": "item id"})
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        db.execute("insert into ratings values ('new', 1, 1, '2020-01-05')")
    db.close()
    last = load_sql(url, "ratings", columns={"item": "item id"}, snapshot="last")
    assert (last.fingerprint, last.facts["snapshot"]["state"]) == (first.fingerprint, "reused")
    again = load_sql(url, "ratings", columns={"item": "item id"})
    assert len(again.interactions) == 4
    assert again.facts["snapshot"]["state"] == "written"


@pytest.fixture
def postgres() -> Iterator[Callable[[str, list[Any]], str]]:
    engine = sa.create_engine(SERVER)
    made: list[str] = []

    def make(columns: str, rows: list[Any]) -> str:
        name = f"recexp test {len(made)}"
        with engine.begin() as connection:
            connection.execute(sa.text(f'drop table if exists "{name}"'))
            connection.execute(sa.text(f'create table "{name}" ({columns})'))
            for row in rows:
                values = {f"v{place}": value for place, value in enumerate(row)}
                names = ", ".join(f":{key}" for key in values)
                connection.execute(sa.text(f'insert into "{name}" values ({names})'), values)
        made.append(name)
        return name

    yield make
    with engine.begin() as connection:
        for name in made:
            connection.execute(sa.text(f'drop table "{name}"'))
    engine.dispose()


@needs_server
def test_postgresql_types_are_understood(postgres: Callable[[str, list[Any]], str]) -> None:
    table = postgres(
        'user_id uuid, "Item" bigint, stars numeric(3,1), created_at timestamptz',
        [
            ("00000000-0000-0000-0000-000000000007", 2**53 + 1, "4.5", "2020-01-01 00:00:00+02"),
            ("00000000-0000-0000-0000-000000000008", 7, "3", "2020-01-01 00:00:00Z"),
        ],
    )
    dataset = load_sql(SERVER, table, columns={"item": "Item"}, scale=[1, 5])
    assert pairs(dataset) == [
        ("00000000-0000-0000-0000-000000000007", 2**53 + 1, 4.5),
        ("00000000-0000-0000-0000-000000000008", 7, 3),
    ]
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [1577829600, 1577836800]
    named = load_sql(SERVER, f"public.{table}", columns={"item": "Item"}, scale=[1, 5])
    assert named.fingerprint == dataset.fingerprint


@needs_server
def test_postgresql_is_only_read(postgres: Callable[[str, list[Any]], str]) -> None:
    table = postgres("user_id int, item_id int", [(1, 2)])
    with pytest.raises(DataError, match="refused the query"):
        load_sql(SERVER, query=f'delete from "{table}" returning user_id, item_id')
    with pytest.raises(DataError, match="refused the query"):
        load_sql(SERVER, query=f'select 1; commit; drop table "{table}"')
    assert len(load_sql(SERVER, table).interactions) == 1


@needs_server
def test_a_password_comes_from_the_environment_and_goes_nowhere(
    postgres: Callable[[str, list[Any]], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = postgres("user_id int, item_id int", [(1, 2)])
    address = sa.make_url(SERVER)
    bare = address._replace(password=None).render_as_string(hide_password=False)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(DataError, match=f"password.*set the environment variable {PASSWORD}"):
        load_sql(bare, table)
    monkeypatch.setenv(PASSWORD, "wr0ng")
    with pytest.raises(DataError, match="authentication failed") as caught:
        load_sql(bare, table)
    assert "wr0ng" not in str(caught.value)
    monkeypatch.setenv(PASSWORD, str(address.password))
    with caplog.at_level(logging.DEBUG):
        dataset = load_sql(bare, table)
    assert len(dataset.interactions) == 1
    assert str(address.password) not in repr(dataset.facts) + caplog.text


@needs_server
def test_a_server_that_drops_the_connection_half_way_is_told(
    postgres: Callable[[str, list[Any]], str],
) -> None:
    address = sa.make_url(SERVER)
    with Severing(str(address.host), int(address.port or 5432), 200_000) as port:
        url = address.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        url += ("&" if "?" in url else "?") + "sslmode=disable"
        query = "select g as user_id, g % 7 as item_id from generate_series(1, 2000000) g"
        with pytest.raises(DataError, match=r"broke off after [\d,]+ rows") as caught:
            load_sql(url, query=query)
    assert str(address.password) not in str(caught.value)


class Severing:
    """A proxy that cuts the line after so many bytes from the server."""

    def __init__(self, host: str, port: int, n_bytes: int) -> None:
        self._target, self._left = (host, port), n_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *reason: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
        while self._left > 0 and (block := server.recv(1 << 14)):
            self._left -= len(block)
            client.sendall(block)
        for one in (client, server):
            one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while block := client.recv(1 << 14):
                server.sendall(block)
        except OSError:
            return
