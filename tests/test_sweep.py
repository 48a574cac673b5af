"""Sweeps that survive: what is finished is not done again, and nothing else is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import recexp
from recexp.errors import ConfigError, StorageError
from recexp.lifecycle import alone
from recexp.sweep import run_sweep

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "plots=false"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query).fetchall()


def finished(folder: Path) -> int:
    if not (folder / "mlflow.db").exists():
        return 0
    query = "select count(*) from runs where status='FINISHED' and name not like 'sweep%'"
    try:
        count: int = rows(folder, query)[0][0]
    except sqlite3.OperationalError:  # the tables are being made
        return 0
    return count


def test_a_resumed_sweep_does_only_what_is_missing(store: Path) -> None:
    whole = ["algo=popularity,random", "seed=1,2", *SMALL, "resume=true"]
    first = run_sweep(whole)
    again = run_sweep(whole)
    assert again.run_id == first.run_id
    assert [job.run_id for job in again.jobs] == [job.run_id for job in first.jobs]
    assert [job.metrics for job in again.jobs] == [job.metrics for job in first.jobs]
    assert finished(store) == 4
    fresh = run_sweep(whole[:-1])
    assert fresh.run_id != first.run_id
    assert finished(store) == 8


def test_a_failed_job_is_done_again_and_the_others_are_not(store: Path) -> None:
    whole = ["algo=popularity,knn_basic", *SMALL, "preprocess=binary", "resume=true"]
    first = run_sweep(whole)  # without ratings there is nothing to predict
    assert [job.error is None for job in first.jobs] == [True, False]
    again = run_sweep(whole)
    assert again.jobs[0].run_id == first.jobs[0].run_id
    assert again.jobs[1].error == first.jobs[1].error
    assert f"failed   algo=knn_basic: {again.jobs[1].error}" in str(again)
    assert finished(store) == 1


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_killed_sweep_ends_with_every_job_once(launcher: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recexp", "run", "-m", "-q", "algo=popularity,random,ease"]
    command += ["seed=1,2", *SMALL, *launcher, "resume=true"]
    environment = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    for wanted in (1, 3):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment)
        while process.poll() is None and finished(tmp_path) < wanted:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, cwd=tmp_path, env=environment).returncode == 0
    assert finished(tmp_path) == 6
    assert rows(tmp_path, "select count(*) from runs where status='RUNNING'") == [(0,)]
    each = "select count(distinct value) from tags join runs using (run_uuid) "
    each += "where key='recexp.config_hash' and status='FINISHED'"
    assert rows(tmp_path, each) == [(6,)]
    parents = "select count(*) from tags where key='recexp.kind' and value='sweep'"
    assert rows(tmp_path, parents) == [(1,)]


def test_parallel_jobs_find_what_jobs_in_turn_find(store: Path) -> None:
    jobs = ["algo=random,ease", "seed=1,2", *SMALL]
    in_turn = run_sweep(jobs)
    parallel = run_sweep([*jobs, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])

    def found(metrics: dict[str, float]) -> dict[str, float]:
        return {k: v for k, v in metrics.items() if not k.startswith(("time/", "memory/"))}

    for a, b in zip(in_turn.jobs, parallel.jobs, strict=True):
        assert a.overrides == b.overrides
        assert found(a.metrics) == found(b.metrics)


def test_one_process_at_a_time_runs_a_sweep(store: Path) -> None:
    uri = f"sqlite:///{store / 'mlflow.db'}"
    jobs = ["algo=popularity,random", *SMALL]
    with (
        alone(f"sweep {uri} recexp {' '.join(jobs)}"),
        pytest.raises(StorageError, match="another process is at this very work"),
    ):
        run_sweep(jobs)


def test_resuming_needs_a_record_and_a_plain_answer(store: Path) -> None:
    with pytest.raises(ConfigError, match="leave out tracking=none"):
        run_sweep(["algo=popularity,random", *SMALL, "tracking=none", "resume=true"])
    with pytest.raises(ConfigError, match=r"resume=7: expected true \| false"):
        run_sweep(["algo=popularity,random", *SMALL, "resume=7"])
