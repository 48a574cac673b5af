"""Finding and reading recorded runs, without MLflow and through it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recexp.errors import ConfigError, StorageError
from recexp.tracking.mlflow_runs import MlflowRuns
from recexp.tracking.records import RunReader
from recexp.tracking.sqlite_runs import SqliteRuns


@pytest.fixture
def copy(recorded: Any, tmp_path: Path) -> Path:
    """The database of the recorded runs, to be changed; their files stay where they are."""
    path = tmp_path / "mlflow.db"
    shutil.copy(recorded.uri.removeprefix("sqlite:///"), path)
    return path


def change(database: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(statement, values)


def test_what_is_read_directly_is_what_mlflow_says(recorded: Any) -> None:
    path = Path(recorded.uri.removeprefix("sqlite:///"))
    ours, theirs = SqliteRuns(path), MlflowRuns(recorded.uri)
    assert ours.experiments() == {
        name: tags for name, tags in theirs.experiments().items() if name != "Default"
    } | {"Default": {}}
    for experiment in ("small", None):
        assert sorted(map(str, ours.index(experiment))) == sorted(
            map(str, theirs.index(experiment))
        )
    ids = list(recorded.ids.values())
    for mine, other in zip(ours.read(ids), theirs.read(ids), strict=True):
        assert mine == other
        assert len(mine.metrics) > 50


def test_reading_a_local_store_does_not_import_mlflow(recorded: Any) -> None:
    code = (
        "import sys; from recexp.tracking.records import RunReader; "
        f"runs = RunReader({recorded.uri!r}).of_experiment('small'); "
        "assert len(runs) == 4; assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_runs_are_found_by_id_prefix_and_name(recorded: Any) -> None:
    reader = RunReader(recorded.uri)
    id_ = recorded.ids["small/ease"]
    for text in (id_, id_[:8], "ease-synthetic-temporal"):
        assert [run.run_id for run in reader.named([text])] == [id_]
    assert len(reader.named([id_, id_[:8]])) == 1


def test_the_newest_run_comes_first(recorded: Any) -> None:
    runs = RunReader(recorded.uri).of_experiment("small")
    assert [run.params["algo"] for run in runs] == ["als", "ease", "itemknn", "popularity"]


def test_a_name_that_several_have_asks_for_an_id(recorded: Any) -> None:
    reader = RunReader(recorded.uri)
    with pytest.raises(ConfigError, match=r"2 runs answer to 'itemknn-synthetic-temporal': .*give"):
        reader.named(["itemknn-synthetic-temporal"])
    (run,) = reader.named(["itemknn-synthetic-temporal"], "small")
    assert run.run_id == recorded.ids["small/itemknn"]


def test_an_unknown_run_is_told_with_the_nearest(recorded: Any) -> None:
    reader = RunReader(recorded.uri)
    with pytest.raises(StorageError, match=r"did you mean 'ease-synthetic-temporal'"):
        reader.named(["ease-syntetic-temporal"])
    with pytest.raises(StorageError, match=r"no run 'zzzz' in .*; the newest are "):
        reader.named(["zzzz"])
    with pytest.raises(StorageError, match=r"no experiment 'smal' in .*; did you mean 'small'"):
        reader.of_experiment("smal")


def test_filters_are_mlflows(recorded: Any) -> None:
    reader = RunReader(recorded.uri)
    found = reader.of_experiment("small", "params.algo = 'ease'")
    assert [run.run_id for run in found] == [recorded.ids["small/ease"]]
    assert len(reader.matching("params.algo = 'popularity'")) == 3
    with pytest.raises(ConfigError, match=r"MLflow does not understand the filter params.algo is"):
        reader.of_experiment("small", "params.algo is svd")


def test_deleted_runs_are_gone(recorded: Any, copy: Path) -> None:
    id_ = recorded.ids["small/ease"]
    change(copy, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", id_)
    with pytest.raises(StorageError, match=r"no run"):
        RunReader(f"sqlite:///{copy}").named([id_])


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for act in (lambda reader: reader.named(["a"]), lambda reader: reader.matching("x = 1")):
        with pytest.raises(StorageError, match=r"there is no store .*mlflow.db; run something"):
            act(RunReader(f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but text " * 50)
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE a (b)").connection.close()
    for name in ("text.db", "empty.db"):
        with pytest.raises(StorageError, match=r"it is no MLflow database"):
            RunReader(f"sqlite:///{tmp_path / name}").named(["a"])


def test_a_locked_database_is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recexp.tracking.sqlite_runs._SECONDS", 0.1)
    holder = sqlite3.connect(copy, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"locked by another program"):
        RunReader(f"sqlite:///{copy}").named(["a"])
    holder.close()


def test_a_server_that_does_not_answer_is_told_at_once() -> None:
    with pytest.raises(StorageError, match=r"no MLflow server answers at http://me:\*\*\*@127"):
        RunReader("http://me:secret@127.0.0.1:9").named(["a"])


def test_artifacts_lie_where_the_run_says(recorded: Any, copy: Path, tmp_path: Path) -> None:
    reader = RunReader(f"sqlite:///{copy}")
    id_ = recorded.ids["small/ease"]
    (run,) = reader.named([id_])
    path = reader.artifact(run, "per_user.parquet")
    assert path is not None
    assert path.is_file()
    assert reader.artifact(run, "nothing.txt") is None
    gone = (tmp_path / "gone and away").as_uri()
    change(copy, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", gone, id_)
    (run,) = reader.named([id_])
    with pytest.raises(StorageError, match=r"there is no folder .*gone and away; were they moved"):
        reader.artifact(run, "per_user.parquet")


def test_a_store_behind_mlflow_gives_its_files_by_download(recorded: Any) -> None:
    reader = RunReader(recorded.uri)
    (run,) = reader.named([recorded.ids["small/ease"]])
    direct = reader.artifact(run, "provenance.json")
    downloaded = reader._downloaded(run, "provenance.json")
    assert direct is not None
    assert downloaded is not None
    assert direct != downloaded
    assert direct.read_bytes() == downloaded.read_bytes()
    assert reader._downloaded(run, "nothing.txt") is None
