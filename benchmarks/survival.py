"""Sweeps that are killed, and stores that many processes write to: is anything lost?

    python benchmarks/survival.py sweep [--kills 20] [--jobs 24] [--launcher basic] [--seed 1]
    python benchmarks/survival.py store [--processes 8] [--runs 32]

`sweep` runs 24 small jobs undisturbed, then again in another store, where the process is killed
with SIGKILL at random moments and started again with `resume=true` each time. It ends with an error
unless both stores hold exactly 24 finished runs, nothing open, and the same metrics.

`store` lets 8 processes record 32 runs each, all at once, into one SQLite store that does not exist
before, and counts what has arrived.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import recexp

SMALL = ["dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60"]
SMALL += ["dataset.n_interactions=1200", "plots=false"]

RECORD = """
import sys
from recexp.tracking.base import Record
from recexp.tracking.mlflow_tracker import MlflowTracker
tracker = MlflowTracker(sys.argv[1])
for i in range(int(sys.argv[2])):
    run = tracker.begin("many", f"run {i}", None, Record(params={f"p{j}": "x" for j in range(30)}))
    run.log(Record(metrics={f"m{j}": float(j) for j in range(200)}))
    run.end("FINISHED")
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["sweep", "store"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=24, help="a multiple of 4")
    parser.add_argument("--launcher", choices=["basic", "joblib"], default="basic")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--runs", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.what == "store":
            store(Path(name), arguments.processes, arguments.runs)
        else:
            sweep(Path(name), arguments)


def sweep(folder: Path, arguments: argparse.Namespace) -> None:
    seeds = ",".join(str(i) for i in range(arguments.jobs // 4))
    job = ["algo=popularity,random,ease,itemknn", f"seed={seeds}", *SMALL, "resume=true"]
    command = ["run", "-m", "-q", *job]
    if arguments.launcher == "joblib":
        command += ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    calm, wild = folder / "calm", folder / "wild"
    calm.mkdir()
    wild.mkdir()
    start = time.perf_counter()
    assert spawn(command, calm).wait() == 0
    whole = time.perf_counter() - start
    print(f"undisturbed: {whole:.1f} s, {counts(calm)}", flush=True)
    rng = random.Random(arguments.seed)
    hits = []
    for i in range(arguments.kills):
        process = spawn(command, wild)
        try:
            process.wait(rng.uniform(0, 0.6 * whole))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            hits.append(i)
        print(f"after kill {i + 1}: {counts(wild)}", flush=True)
    assert spawn(command, wild).wait() == 0
    assert hits, "nothing was killed"
    print(f"{len(hits)} times killed while it ran; at the end: {counts(wild)}")
    assert counts(wild)["FINISHED"] == arguments.jobs, counts(wild)
    assert "RUNNING" not in counts(wild), counts(wild)
    assert metrics(wild) == metrics(calm), "the metrics differ"
    print(f"{arguments.jobs} finished runs, none open, all metrics the same")


def store(folder: Path, processes: int, runs: int) -> None:
    database = folder / "mlflow.db"
    start = time.perf_counter()
    command = [sys.executable, "-c", RECORD, f"sqlite:///{database}", str(runs)]
    children = [
        subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    errors = [child.communicate()[1] for child in children]
    seconds = time.perf_counter() - start
    failed = [error for child, error in zip(children, errors, strict=True) if child.returncode]
    assert not failed, failed[0]
    n = processes * runs
    with sqlite3.connect(database) as connection:
        found = dict(connection.execute("select status, count(*) from runs group by status"))
        kept = connection.execute("select count(*) from metrics").fetchone()[0]
    assert found == {"FINISHED": n}, found
    assert kept == n * 200, kept
    print(f"{processes} processes x {runs} runs: {n} finished, {kept} metrics, {seconds:.1f} s")


def counts(folder: Path) -> dict[str, int]:
    """The runs of the sweep, without its parent, by status."""
    query = "select status, count(*) from runs where name not like 'sweep%' group by status"
    return dict(rows(folder, query))


def metrics(folder: Path) -> dict[tuple[str, str, str], float]:
    """Every metric but times and memory, by config hash, name of the run and of the metric."""
    query = (
        "select t.value, r.name, m.key, m.value from runs r join metrics m using (run_uuid) "
        "join tags t using (run_uuid) where t.key = 'recexp.config_hash' and "
        "r.status = 'FINISHED' and m.key not like 'time/%' and m.key not like 'memory/%'"
    )
    return {(job, name, key): value for job, name, key, value in rows(folder, query)}


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    if not (folder / "mlflow.db").exists():
        return []
    with sqlite3.connect(folder / "mlflow.db", timeout=60) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # the tables are being made
            return []


def spawn(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "recexp", *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def environment() -> dict[str, str]:
    found = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    found.pop("MLFLOW_TRACKING_URI", None)
    return found


if __name__ == "__main__":
    main()
