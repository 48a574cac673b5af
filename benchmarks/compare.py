"""How long `recexp compare` takes, from the command to the last line, on a store made up for it.

python benchmarks/compare.py                          # 50 runs x 100,000 users
python benchmarks/compare.py --runs 10 --users 1000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from recexp.data.arrow import write_parquet
from recexp.tracking.base import Record
from recexp.tracking.mlflow_tracker import MlflowTracker

SEGMENTS = ("warm_users", "cold_users", "light_users", "heavy_users")
METRICS = tuple(f"{name}_at_{k}" for name in ("ndcg", "recall", "map") for k in (5, 10, 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = make_store(Path(folder), arguments.runs, arguments.users)
        environment = os.environ | {"MLFLOW_TRACKING_URI": uri}
        command = [sys.executable, "-m", "recexp", "compare", "--experiment", "made", "--format"]
        seconds, cpu = [], []
        for _ in range(arguments.repeat):
            start, before = time.perf_counter(), cpu_seconds()
            done = subprocess.run(
                [*command, "json"], env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            seconds.append(time.perf_counter() - start)
            cpu.append(cpu_seconds() - before)
        pairs = len(json.loads(done.stdout)["comparisons"])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    times = ", ".join(f"{one:.2f}" for one in seconds)
    print(
        f"{arguments.runs} runs x {arguments.users:,} users, {pairs:,} pairs: "
        f"median {statistics.median(seconds):.2f} s ({times}), of the processors "
        f"{statistics.median(cpu):.2f} s; peak memory {peak:,.0f} MB"
    )


def cpu_seconds() -> float:
    """What the finished children have used of all processors; other programs do not change it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_store(folder: Path, n_runs: int, n_users: int) -> str:
    """A store with runs of one split, whose users have values that are alike and yet differ."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    rng = np.random.default_rng(0)
    ease = rng.beta(0.5, 1.5, n_users)
    members = {name: rng.random(n_users) < 0.5 for name in SEGMENTS}
    tags = {"recexp.dataset_fingerprint": "d" * 64, "recexp.split_fingerprint": "s" * 64}
    tracker = MlflowTracker(uri)
    for i in range(n_runs):
        run = folder / f"run{i}"
        run.mkdir()
        quality = rng.normal(0, 0.3, n_users) + 0.002 * i
        columns = {"user_id": np.arange(n_users), "n_relevant": np.ones(n_users, np.int64)}
        columns |= {name: np.clip(ease + quality, 0, 1).round(3) for name in METRICS}
        write_parquet(run / "per_user.parquet", columns | members)
        means = {name: float(columns[name].mean()) for name in METRICS}
        params = {"algo": "ease" if i == 0 else f"method{i}", "dataset": "made", "split": "random"}
        record = Record(means, params | {"seed": "42"}, tags | {"recexp.config_hash": str(i)})
        tracked = tracker.begin("made", f"run{i}", None, record)
        tracked.log(Record(folder=run))
        tracked.end("FINISHED")
    with sqlite3.connect(folder / "mlflow.db") as database:
        (count,) = database.execute("select count(*) from runs").fetchone()
    assert count == n_runs
    return uri


if __name__ == "__main__":
    main()
