"""The command line as a user meets it: output, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import recexp

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "plots=false"]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.Popen(
        [sys.executable, "-m", "recexp", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recexp_command(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query).fetchall()


def test_a_run_prints_its_table_and_id_and_keeps_stderr_for_progress(tmp_path: Path) -> None:
    code, out, err = recexp_command("run", *SMALL, cwd=tmp_path)
    assert code == 0
    assert "ndcg" in out
    assert "run id" in out
    assert rows(tmp_path, "select status from runs") == [("FINISHED",)]
    assert str(rows(tmp_path, "select run_uuid from runs")[0][0]) in out
    assert "fit" in err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlruns"}


def test_json_is_one_document_with_mlflows_names(tmp_path: Path) -> None:
    code, out, err = recexp_command("run", "-q", "--format", "json", *SMALL, cwd=tmp_path)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["algo"] == "popularity"
    assert 0 < document["metrics"]["precision_at_10"] < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "algo=svdd"], "recexp: no option algo=svdd; did you mean 'svd'?"),
        (["rnu"], "recexp: no command 'rnu'; did you mean 'run'?"),
        (["run", "dataset=csv", "dataset.path=none.csv"], "none.csv"),
        (["run", "-m", "algo=svd,svdd"], "no option algo=svdd; did you mean 'svd'?"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = recexp_command(*arguments, cwd=tmp_path)
    assert code == 2
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("recexp:")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_ends_as_killed_with_the_reason(
    tmp_path: Path, number: signal.Signals
) -> None:
    slow = ["algo=svd", "algo.epochs=100000", "split=random"]
    process = start("run", *SMALL, *slow, cwd=tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("fit"):
            break
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert rows(tmp_path, "select status from runs") == [("KILLED",)]
    reasons = rows(tmp_path, "select value from tags where key='recexp.reason'")
    expected = "KeyboardInterrupt" if number == signal.SIGINT else "Terminated: SIGTERM"
    assert reasons == [(expected,)]


def test_a_sweep_makes_nested_runs_and_says_what_failed(tmp_path: Path) -> None:
    arguments = ["algo=popularity,random", "seed=1,2", "algo.seed=3", *SMALL]
    code, out, err = recexp_command("run", "-q", "-m", *arguments[:2], *SMALL, cwd=tmp_path)
    assert code == 0, err
    assert out.count("popularity") == 2
    parents = rows(tmp_path, "select value from tags where key='mlflow.parentRunId'")
    assert len(parents) == 4
    assert len(set(parents)) == 1
    assert rows(tmp_path, "select status, count(*) from runs group by status") == [("FINISHED", 5)]

    wrong = ["split=random", "split.test_fraction=0.2,2"]
    code, out, err = recexp_command("run", "-q", "-m", *wrong, *SMALL, cwd=tmp_path)
    assert code == 1
    assert "failed   split.test_fraction=2: split.test_fraction=2" in out


def test_repetitions_have_a_mean_and_a_deviation_on_the_parent(tmp_path: Path) -> None:
    code, out, _ = recexp_command(
        "run", "-q", "--format", "json", "-m", "seed=1,2,3", "split=random", *SMALL, cwd=tmp_path
    )
    assert code == 0
    document = json.loads(out)
    values = [job["metrics"]["ndcg_at_10"] for job in document["jobs"]]
    mean = sum(values) / 3
    deviation = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    query = "select key, value from metrics where run_uuid='{}' and key like 'ndcg_at_10%'"
    stored = dict(rows(tmp_path, query.format(document["run_id"])))
    assert stored["ndcg_at_10"] == pytest.approx(mean)
    assert stored["ndcg_at_10_std"] == pytest.approx(deviation)


def test_flags_and_overrides_mix(tmp_path: Path) -> None:
    code, out, _ = recexp_command("run", "algo=svd", "--cfg", "seed=5", cwd=tmp_path)
    assert code == 0
    assert "seed: 5" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["algo", "dataset", "split", "metric"])
def test_list_shows_what_there_is_in_one_line_each(tmp_path: Path, kind: str) -> None:
    code, out, _ = recexp_command("list", kind, cwd=tmp_path)
    assert code == 0
    known = {"algo": "svd", "dataset": "movielens", "split": "temporal", "metric": "ndcg"}
    lines = out.splitlines()
    assert lines[0] == f"{kind}:"
    assert any(line.split()[0] == known[kind] for line in lines[1:])
    assert all(len(line.split()) > 3 for line in lines[1:])


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    process = start("list", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    assert process.wait() == 1


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert recexp_command("--version", cwd=tmp_path)[1].strip() == f"recexp {recexp.__version__}"
