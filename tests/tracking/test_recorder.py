"""The recorder process: what it writes, and that no run stays open whatever happens."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from recexp.errors import StorageError
from recexp.tracking.base import DatasetInput, NoTracker, Record
from recexp.tracking.mlflow_tracker import MlflowTracker, tracking_uri


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def rows(uri: str, query: str) -> list[tuple[object, ...]]:
    """What the database says, asked without MLflow."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


def test_a_run_is_written_with_all_its_parts(uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "a.txt").write_text("x")
    opening = Record(
        params={"algo": "svd"},
        tags={"recexp.version": "1"},
        datasets=(DatasetInput("ml", "abcd1234", "http://source", '{"rows": 5}', "training"),),
    )
    run = MlflowTracker(uri).begin("exp", "svd-ml", None, opening)
    run.log(Record(metrics={"ndcg_at_10": 0.25}, folder=folder))
    run_id = run.end("FINISHED")

    assert rows(uri, "select run_uuid, name, status from runs") == [(run_id, "svd-ml", "FINISHED")]
    assert rows(uri, "select key, value from params") == [("algo", "svd")]
    assert rows(uri, "select key, value from metrics") == [("ndcg_at_10", 0.25)]
    assert ("recexp.version", "1") in rows(uri, "select key, value from tags")
    assert rows(uri, "select name, digest from datasets") == [("ml", "abcd1234")]
    artifact = tmp_path / "mlruns" / "exp" / run_id / "artifacts" / "plots" / "a.txt"
    assert artifact.read_text() == "x"


def test_a_nested_run_knows_its_parent_while_both_are_open(uri: str) -> None:
    tracker = MlflowTracker(uri)
    parent = tracker.begin("exp", "parent", None, Record())
    child = tracker.begin("exp", "child", parent.run_id(), Record())
    child_id, parent_id = child.end("FINISHED"), parent.end("FINISHED")
    tags = rows(uri, f"select value from tags where run_uuid='{child_id}' and key like '%parent%'")
    assert tags == [(parent_id,)]


def test_a_killed_process_leaves_no_open_run(uri: str) -> None:
    code = f"""
        import time
        from recexp.tracking.base import Record
        from recexp.tracking.mlflow_tracker import MlflowTracker
        run = MlflowTracker({uri!r}).begin("exp", "doomed", None, Record())
        print(run.run_id(), flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    found = rows(uri, "select status from runs")
    while found == [("RUNNING",)] and time.monotonic() < deadline:
        time.sleep(0.1)
        found = rows(uri, "select status from runs")
    assert found == [("KILLED",)]
    reason = rows(uri, f"select value from tags where run_uuid='{run_id}' and key='recexp.reason'")
    assert reason == [("the process of the run ended unexpectedly",)]


def test_a_closed_run_can_be_opened_again(uri: str) -> None:
    tracker = MlflowTracker(uri)
    run_id = tracker.begin("exp", "parent", None, Record()).end("KILLED")
    assert run_id is not None
    again = tracker.resume(run_id)
    again.log(Record(metrics={"a": 1.0}))
    assert again.end("FINISHED") == run_id
    assert rows(uri, "select status from runs") == [("FINISHED",)]
    assert rows(uri, "select key, value from metrics") == [("a", 1.0)]


def test_a_question_is_kept_with_the_experiment(uri: str) -> None:
    tags = {"recexp.question": "Which is better?"}
    MlflowTracker(uri).begin("exp", "study", None, Record(tags=tags)).end("FINISHED")
    found = rows(uri, "select value from experiment_tags where key='recexp.question'")
    assert found == [("Which is better?",)]


def test_an_unreachable_server_is_one_line_at_once() -> None:
    start = time.monotonic()
    with pytest.raises(
        StorageError, match=r"no MLflow server answers at http://127\.0\.0\.1:9"
    ) as e:
        MlflowTracker("http://127.0.0.1:9").begin("exp", "x", None, Record())
    assert "\n" not in str(e.value)
    assert time.monotonic() - start < 10


def test_a_store_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    for uri in (f"sqlite:///{tmp_path}/no/such/mlflow.db", f"sqlite:///{tmp_path}"):
        with pytest.raises(StorageError, match="cannot be written"):
            MlflowTracker(uri).begin("exp", "x", None, Record())


def test_a_file_store_is_refused_with_what_to_use() -> None:
    with pytest.raises(StorageError, match="use sqlite:///"):
        MlflowTracker("file:./mlruns").begin("exp", "x", None, Record())


def test_a_broken_database_is_told_when_the_run_ends(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, " * 100)
    run = MlflowTracker(f"sqlite:///{tmp_path / 'mlflow.db'}").begin("exp", "x", None, Record())
    with pytest.raises(StorageError, match=r"failed: .*; check MLFLOW_TRACKING_URI") as e:
        run.end("FINISHED")
    assert "\n" not in str(e.value)


def test_one_failed_run_does_not_spoil_the_next(uri: str, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("this is no database, " * 100)
    broken = MlflowTracker(f"sqlite:///{tmp_path / 'other.db'}").begin("e", "x", None, Record())
    run = MlflowTracker(uri).begin("exp", "y", None, Record())
    with pytest.raises(StorageError):
        broken.end("FINISHED")
    assert rows(uri, "select run_uuid from runs") == [(run.end("FINISHED"),)]


def test_the_password_of_a_store_is_not_shown() -> None:
    with pytest.raises(StorageError) as e:
        MlflowTracker("http://me:secret@127.0.0.1:9").begin("exp", "x", None, Record())
    assert "secret" not in str(e.value)


def test_processes_that_make_one_database_together_all_succeed(uri: str) -> None:
    code = f"""
        from recexp.tracking.base import Record
        from recexp.tracking.mlflow_tracker import MlflowTracker
        MlflowTracker({uri!r}).begin("exp", "x", None, Record()).end("FINISHED")
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert rows(uri, "select status, count(*) from runs group by status") == [("FINISHED", 3)]


def test_the_store_is_the_environments_or_beside_you(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    assert tracking_uri() == "http://there:5000"


def test_without_a_tracker_nothing_is_kept() -> None:
    run = NoTracker().begin("exp", "x", None, Record())
    run.log(Record(metrics={"a": 1.0}))
    run.check()
    assert run.end("FINISHED") is None
