"""Wall time of the whole process of the main job, and where it goes.

    python benchmarks/main_job.py [--repeat 5] [--algo popularity]

Runs `python -m recexp run algo=... dataset=movielens` in a folder of its own, first with a store
that must be created, then with one that exists; beside it what importing MLflow and opening that
store alone takes. The data is fetched before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import recexp

MLFLOW_ALONE = """
import mlflow
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
client.search_experiments(max_results=1)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--algo", default="popularity")
    arguments = parser.parse_args()
    run = ["-m", "recexp", "run", "--format", "json", "-q", f"algo={arguments.algo}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spend(["-m", "recexp", "run", "-q", "tracking=none"], folder)  # fetches the data
        rows = [("recexp --help", [spend(["-m", "recexp", "--help"], folder)[0] for _ in range(5)])]
        fresh = []
        for i in range(arguments.repeat):
            (folder / str(i)).mkdir()
            fresh.append(spend(run, folder / str(i))[0])
        rows.append(("run, new store", fresh))
        existing = [spend(run, folder / "0") for _ in range(arguments.repeat)]
        rows.append(("run, existing store", [seconds for seconds, _ in existing]))
        untracked = [*run, "tracking=none"]
        rows.append(("run, tracking=none", times(untracked, folder, arguments.repeat)))
        rows.append(("tracking=none plots=false", times([*untracked, "plots=false"], folder, 3)))
        rows.append(
            ("mlflow import and store", times(["-c", MLFLOW_ALONE], folder / "0", arguments.repeat))
        )
        metrics = json.loads(existing[-1][1])["metrics"]
    print(f"{'':28}{'min':>8}{'median':>8}{'max':>8}  seconds")
    for label, seconds in rows:
        print(f"{label:28}{min(seconds):8.2f}{statistics.median(seconds):8.2f}{max(seconds):8.2f}")
    medians = {label: statistics.median(seconds) for label, seconds in rows}
    added = medians["run, existing store"] - medians["run, tracking=none"]
    print(f"\nrecording adds {added:.2f} s (medians)")
    print("\nwithin the last run:")
    for key, value in metrics.items():
        if key.startswith("time/"):
            print(f"  {key:26}{value:8.2f}")


def times(command: Sequence[str], folder: Path, repeat: int) -> list[float]:
    return [spend(command, folder)[0] for _ in range(repeat)]


def spend(command: Sequence[str], folder: Path) -> tuple[float, str]:
    """Run Python with `command` in `folder`; return wall seconds and standard output."""
    environment = os.environ | {"PYTHONPATH": str(Path(recexp.__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout


if __name__ == "__main__":
    main()
