"""Parquet, RecBole's atomic files, LightGCN's lists, and published files with checksums."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recexp.data.lightgcn import load_lightgcn
from recexp.data.parquet import load_parquet
from recexp.data.public import fetch_files, load_public
from recexp.data.readers import load_csv
from recexp.data.recbole import load_recbole
from recexp.errors import ConfigError, DataError
from recexp.splits.predefined import predefined

CSV = "user,item,rating,timestamp\nu1,7,4,1577836800\nu1,9,2,1577923200\nu2,7,5,1578009600\n"


@pytest.fixture
def same(tmp_path: Path) -> str:
    """The fingerprint of the three interactions, as read from text."""
    (tmp_path / "same.csv").write_text(CSV)
    return load_csv(str(tmp_path / "same.csv")).fingerprint


DAYS = [datetime(2020, 1, day) for day in (1, 2, 3)]


@pytest.mark.parametrize(
    ("items", "ratings", "times"),
    [
        (pa.array([7, 9, 7], pa.int16()), pa.array([4, 2, 5], pa.uint8()), pa.array(DAYS)),
        (
            pa.array([7.0, 9.0, 7.0]),
            pa.array([Decimal("4.0"), Decimal("2.0"), Decimal("5.0")]),
            pa.array([day.date() for day in DAYS], pa.date32()),
        ),
        (
            pa.array(["7", "9", "7"]).dictionary_encode(),
            pa.array(["4", "2.0", "5"]),
            pa.array([day.isoformat() for day in DAYS]),
        ),
        (
            pa.array([b"7", b"9", b"7"]),
            pa.array([4, 2, 5], pa.float16()),
            pa.array([day.replace(tzinfo=UTC) for day in DAYS], pa.timestamp("ns", "Asia/Tokyo")),
        ),
        (
            pa.array([7, 9, 7], pa.uint64()),
            pa.array([4, 2, 5], pa.float32()),
            pa.array([1577836800.0, 1577923200.5, 1578009600.9]),
        ),
    ],
)
def test_parquet_of_any_type_is_what_text_is(
    items: Any, ratings: Any, times: Any, tmp_path: Path, same: str
) -> None:
    table = pa.table({"user_id": ["u1", "u1", "u2"], "movie": items, "stars": ratings, "ts": times})
    pq.write_table(table, tmp_path / "a.parquet")
    dataset = load_parquet(str(tmp_path / "a.parquet"))
    assert dataset.fingerprint == same
    assert dataset.facts["columns_guessed"] == ["user", "item", "rating", "timestamp"]


def test_parquet_with_nulls_in_a_folder_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    for number, users in enumerate(([1, None, 2**53 + 1], [4, 5, None])):
        columns = {
            "user": pa.array(users, pa.int64()),
            "item": pa.array(["a", "b", None]),
            "rating": pa.array([1.0, 2.0, float("nan")]),
            "when": pa.array([DAYS[0], None, DAYS[2]]),
        }
        pq.write_table(pa.table(columns), folder / f"{number}.parquet")
    dataset = load_parquet(str(folder), {"timestamp": "when"})
    assert list(dataset.users.ids) == [1, 4]
    assert dataset.facts["rows_read"] == 6
    assert dataset.facts["rows_dropped"] == {
        "user missing": 2,
        "item missing": 1,
        "timestamp not a time from 1970 to 2099": 1,
    }
    lines = Path(dataset.facts["rejected_file"]).read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["0.parquet", "2", "user missing"],
        ["0.parquet", "3", "item missing"],
        ["1.parquet", "2", "timestamp not a time from 1970 to 2099"],
        ["1.parquet", "3", "user missing"],
    ]


def test_what_is_no_parquet_or_holds_no_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no, not really")
    with pytest.raises(DataError, match=r"a.parquet is not a Parquet file that can be read"):
        load_parquet(str(tmp_path / "a.parquet"))
    table = pa.table({"user": [[1], [2]], "item": [1, 2]})
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"column 'user' of type list<.*> holds no ids"):
        load_parquet(str(tmp_path / "b.parquet"))
    pq.write_table(
        pa.table({"user": [1], "item": [1], "rating": [DAYS[0]]}), tmp_path / "c.parquet"
    )
    with pytest.raises(DataError, match=r"of type timestamp\[us\] cannot be the rating"):
        load_parquet(str(tmp_path / "c.parquet"))
    content = (tmp_path / "c.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"d.parquet is not a Parquet file"):
        load_parquet(str(tmp_path / "d.parquet"))


def test_parquet_tables_of_items_keep_lists_and_dates(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, 2], "item": [7, 8]}), tmp_path / "a.parquet")
    about = {"item": [7.0, 9.0], "genres": [["Drama", "War"], []], "out": [date(2020, 1, 1), None]}
    pq.write_table(pa.table(about), tmp_path / "items.parquet")
    dataset = load_parquet(
        str(tmp_path / "a.parquet"), items={"path": str(tmp_path / "items.parquet")}
    )
    assert dict(dataset.item_columns) == {"genres": ("Drama|War", ""), "out": ("2020-01-01", "")}


def test_recbole_atomic_files_are_read_with_their_tables(tmp_path: Path) -> None:
    (tmp_path / "x.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        '007\t1\t4\t881250949\n8\t"2\t3.5\t8.8e8\n'
    )
    (tmp_path / "x.item").write_text("item_id:token\ttitle:token_seq\n1\tToy Story\n")
    dataset = load_recbole(str(tmp_path))
    assert (list(dataset.users.ids), list(dataset.items.ids)) == (["007", "8"], ['"2', "1"])
    assert dataset.name == "x"
    assert dataset.interactions.timestamp is not None
    assert dataset.interactions.timestamp.tolist() == [881250949, 880000000]
    assert dataset.item_columns["title"] == ("", "Toy Story")
    assert dataset.facts["columns"]["user"] == "user_id"
    with pytest.raises(DataError, match=r"has 0 files \*.inter"):
        load_recbole(str(tmp_path.parent / tmp_path.name / ".."))


def test_lightgcn_lists_and_their_split(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 1 2\n1 2\n2\n")
    (tmp_path / "test.txt").write_text("0 3 \n\n1 1 0\n")
    dataset = load_lightgcn(str(tmp_path))
    assert (dataset.n_users, dataset.n_items, len(dataset.interactions)) == (2, 4, 6)
    assert dataset.facts["users_without_items"] == 1
    assert not dataset.explicit
    split = predefined(
        *(dataset, np.random.default_rng(0)),
        train=str(tmp_path / "train.txt"),
        test=str(tmp_path / "test.txt"),
    )
    pairs = zip(split.test.user_idx.tolist(), split.test.item_idx.tolist(), strict=True)
    assert sorted(pairs) == [(0, 3), (1, 0), (1, 1)]
    assert len(split.train.interactions) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"train.txt does not exist; set dataset.path to a folder"):
        load_lightgcn(str(tmp_path / "empty"))


@pytest.mark.skipif("RECEXP_DATA_DIR" not in os.environ, reason="needs the published files")
def test_gowalla_has_the_published_size() -> None:
    dataset = load_lightgcn(str(Path(os.environ["RECEXP_DATA_DIR"]) / "gowalla"))
    assert (dataset.n_users, dataset.n_items) == (29_858, 40_981)
    assert len(dataset.interactions) == 810_128 + 217_242
    assert dataset.facts["repeated_pairs"] == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[str, bytes], str]]:
    """Put a file on a loopback server and return its URL."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(name: str, content: bytes) -> str:
        (folder / name).write_bytes(content)
        return f"http://127.0.0.1:{server.server_address[1]}/{name}"

    yield serve
    server.shutdown()
    server.server_close()


def test_a_published_dataset_is_fetched_once_checked_and_cited(
    served: Callable[[str, bytes], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "cache"))
    ratings, books = b"user_id,book_id,rating\n1,2,5\n3,4,1\n", b"book_id,title\n2,Two\n4,Four\n"
    blob = hashlib.sha1(f"blob {len(ratings)}\0".encode() + ratings).hexdigest()
    files = {
        "ratings.csv": {"url": served("ratings.csv", ratings), "checksum": f"git:{blob}"},
        "books.csv": {
            "url": served("books.csv", books),
            "checksum": f"sha256:{hashlib.sha256(books).hexdigest()}",
        },
    }
    load = partial(
        load_public,
        "some-books",
        files,
        "CC BY-SA 4.0",
        "Somebody, 2017",
        "https://example.org",
        interactions="ratings.csv",
        scale=[1, 5],
        items={"file": "books.csv", "columns": ["title"]},
    )
    dataset = load()
    assert dataset.item_columns["title"] == ("Two", "Four")
    assert dataset.facts["licence"] == "CC BY-SA 4.0"
    assert dataset.facts["citation"] == "Somebody, 2017"
    served("ratings.csv", b"something else")
    assert load().fingerprint == dataset.fingerprint
    kept = tmp_path / "cache" / "public" / "some-books"
    assert load(path=str(kept)).fingerprint == dataset.fingerprint
    (kept / "ratings.csv").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"ratings.csv is not the published file"):
        load(path=str(kept))
    with pytest.raises(DataError, match=r"some-books cannot be had \(.*its checksum differs\)"):
        load()
    assert not list(kept.glob(".*"))
    with pytest.raises(ConfigError, match="expected one of sha256, sha1, md5, git"):
        fetch_files("some-books", {"ratings.csv": {"url": "x", "checksum": "crc:1"}})
