"""Recommendations for everybody: complete, restartable, never mixed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import recexp
from recexp import artifact
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.random import Random
from recexp.arrays import AnyArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, StorageError
from recexp.fitted import FittedModel
from recexp.writeback.batches import COLUMNS, Job, Sink, write_all
from recexp.writeback.files import FileSink
from recexp.writeback.sql import SqlSink

KINDS = ("parquet", "csv", "sqlite")


@pytest.fixture(scope="module")
def model(synthetic: Dataset) -> FittedModel:
    return FittedModel(Random().fit(synthetic), synthetic)


def job(model: FittedModel, **changes: Any) -> Job:
    whole: dict[str, Any] = {"run": "r1", "k": 3, "exclude_seen": True, "batch_size": 70}
    return Job(n_users=model.train.n_users, **(whole | changes))


def sink(kind: str, folder: Path) -> Sink:
    if kind == "sqlite":
        return SqlSink(f"sqlite:///{folder / 'recs.db'}")
    return FileSink(folder / f"recs.{kind}")


def read(kind: str, folder: Path) -> pd.DataFrame:
    if kind == "sqlite":
        with sqlite3.connect(folder / "recs.db") as connection:
            table = pd.read_sql("select * from recommendations", connection)
    elif kind == "csv":
        table = pd.read_csv(folder / "recs.csv")
    else:
        table = pd.read_parquet(folder / "recs.parquet")
    return table.sort_values(["user_id", "rank"], ignore_index=True)[list(COLUMNS)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_user_is_there_once_with_his_list(
    kind: str, model: FittedModel, tmp_path: Path
) -> None:
    done = write_all(model, sink(kind, tmp_path), job(model))
    assert (done.n_users, done.n_batches, done.n_before) == (300, 5, 0)
    table = read(kind, tmp_path)
    expected = model.recommend(model.train.users.ids, 3)
    assert table.user_id.tolist() == expected.user.tolist()
    assert table.item_id.tolist() == expected["item"].tolist()
    assert table["rank"].tolist() == [1, 2, 3] * 300
    np.testing.assert_allclose(table.score, expected.score, rtol=1e-6)
    assert table.source.tolist() == expected.source.tolist()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"recs.db" if kind == "sqlite" else f"recs.{kind}"}


class Interrupted:
    """A sink that is interrupted after it took so many batches."""

    def __init__(self, inner: Sink, after: int) -> None:
        self.inner, self.left = inner, after

    def begin(self, job: Job, *, replace: bool) -> set[int]:
        return self.inner.begin(job, replace=replace)

    def write(self, job: Job, batch: int, columns: Mapping[str, AnyArray]) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.inner.write(job, batch, columns)

    def finish(self, job: Job) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.inner.finish(job)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 2, 5])
def test_an_interrupted_job_goes_on_where_it_stopped(
    kind: str, after: int, model: FittedModel, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_all(model, Interrupted(sink(kind, tmp_path), after), job(model))
    done = write_all(model, sink(kind, tmp_path), job(model))
    assert done.n_before == after
    (tmp_path / "whole").mkdir()
    write_all(model, sink(kind, tmp_path / "whole"), job(model))
    pd.testing.assert_frame_equal(read(kind, tmp_path), read(kind, tmp_path / "whole"))


@pytest.mark.parametrize("kind", ["parquet", "sqlite"])
def test_a_finished_job_has_nothing_left_to_do(
    kind: str, model: FittedModel, tmp_path: Path
) -> None:
    write_all(model, sink(kind, tmp_path), job(model))
    before = read(kind, tmp_path)
    assert write_all(model, sink(kind, tmp_path), job(model)).n_before == 5
    pd.testing.assert_frame_equal(read(kind, tmp_path), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("finished", [True, False])
def test_two_runs_are_never_mixed(
    kind: str, finished: bool, model: FittedModel, tmp_path: Path
) -> None:
    if finished:
        write_all(model, sink(kind, tmp_path), job(model))
    else:
        with pytest.raises(KeyboardInterrupt):
            write_all(model, Interrupted(sink(kind, tmp_path), 2), job(model))
    for other in (job(model, run="r2"), job(model, k=4), job(model, batch_size=100)):
        told = "is there already" if kind == "csv" and finished else "holds lists of run r1"
        with pytest.raises(StorageError, match=rf"{told}.*--replace"):
            write_all(model, sink(kind, tmp_path), other)
    write_all(model, sink(kind, tmp_path), job(model, run="r2", k=4), replace=True)
    assert len(read(kind, tmp_path)) == 4 * 300


def test_a_table_of_others_is_left_alone(model: FittedModel, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "recs.db") as connection:
        connection.execute("create table recommendations (precious int)")
    for replacing in (False, True):
        with pytest.raises(StorageError, match="that recexp did not write"):
            write_all(model, sink("sqlite", tmp_path), job(model), replace=replacing)
    with sqlite3.connect(tmp_path / "recs.db") as connection:
        assert connection.execute("select precious from recommendations").fetchall() == []


def test_whole_numbers_stay_numbers_and_text_stays_text(tmp_path: Path) -> None:
    users = np.array(["007", 'a "b", c', "é\n", "7"])
    texts = Dataset.from_columns("d", users, np.array([2**62, 5, 5, 6]))
    model = FittedModel(Popularity().fit(texts), texts)
    for kind in KINDS:
        write_all(model, sink(kind, tmp_path), job(model, k=1))
    for kind in ("parquet", "sqlite"):
        table = read(kind, tmp_path)
        assert sorted(table.user_id) == sorted(users)
        assert set(table.item_id) <= {2**62, 5, 6}
    assert sorted(pd.read_csv(tmp_path / "recs.csv", dtype=str).user_id) == sorted(users)


def test_a_user_who_has_seen_everything_has_no_rows(tmp_path: Path) -> None:
    data = Dataset.from_columns("d", np.array([1, 1, 2]), np.array([1, 2, 1]))
    model = FittedModel(Popularity().fit(data), data)
    write_all(model, sink("parquet", tmp_path), job(model, k=2, batch_size=1))
    assert read("parquet", tmp_path)[["user_id", "item_id"]].values.tolist() == [[2, 2]]


def test_what_cannot_be_written_is_told(model: FittedModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"recs\.csv cannot be written"):
        write_all(model, FileSink(tmp_path / "file" / "recs.csv"), job(model))
    with pytest.raises(StorageError, match="unable to open database file"):
        write_all(model, SqlSink(f"sqlite:///{tmp_path}/none/recs.db"), job(model))
    with pytest.raises(ConfigError, match="--output: no driver for nosuchdb databases"):
        SqlSink("nosuchdb://x")
    with pytest.raises(ConfigError, match="at least 1"):
        write_all(model, sink("csv", tmp_path), job(model, k=0))


@pytest.mark.parametrize(
    "url", ["sqlite://me:secret@host/recs.db", "nosuchdb://me:secret@host/x", "a b://me:secret@["]
)
def test_a_password_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="--output") as caught:
        SqlSink(url)
    assert "secret" not in str(caught.value)


def test_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("RECEXP_SQL_PASSWORD", "secret")
    shown = SqlSink("postgresql://me@127.0.0.1:9/shop").where
    assert shown == "postgresql+psycopg://me:***@127.0.0.1:9/shop, table recommendations"
    assert "***" not in SqlSink("sqlite:///recs.db").where


def test_a_server_that_is_down_is_told_without_the_password(model: FittedModel) -> None:
    pytest.importorskip("psycopg")
    down = SqlSink("postgresql+psycopg://me:secret@127.0.0.1:9/shop")
    with pytest.raises(StorageError, match=r"me:\*\*\*@127.*cannot take rows") as caught:
        write_all(model, down, job(model))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["parquet", "sqlite"])
def test_a_killed_process_is_continued(kind: str, model: FittedModel, tmp_path: Path) -> None:
    """kill -9 in the middle, twice; every user is there once at the end."""
    artifact.save(replace(model, recommender=Popularity().fit(model.train)), tmp_path / "run/model")
    output = (
        f"sqlite:///{tmp_path / 'recs.db'}" if kind == "sqlite" else str(tmp_path / "recs.parquet")
    )
    command = [sys.executable, "-m", "recexp", "recommend", str(tmp_path / "run"), "--all-users"]
    command += ["--output", output, "--batch-size", "2", "-k", "2"]
    environment = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    seen = 0
    for _ in range(2):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while (written := count(kind, tmp_path)) < seen + 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert written > seen
        seen = count(kind, tmp_path)
    assert seen < 150
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{seen} of 150 batches were there" in done.stdout
    table = read(kind, tmp_path)
    assert table.user_id.value_counts().tolist() == [2] * 300


def count(kind: str, folder: Path) -> int:
    """How many batches are written."""
    if kind == "parquet":
        return len(list((folder / ".recs.parquet.parts").glob("[0-9]*.parquet")))
    try:
        with sqlite3.connect(f"file:{folder / 'recs.db'}?mode=ro", uri=True) as connection:
            found = connection.execute("select count(*) from recommendations_batches")
            return int(found.fetchone()[0])
    except sqlite3.OperationalError:
        return 0
