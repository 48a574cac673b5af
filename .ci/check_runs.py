"""Check two runs of one experiment: the same to the last digit, and as good as SVD should be."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

first, second = (json.loads(Path(name).read_text())["metrics"] for name in sys.argv[1:3])
measured = [name for name in first if not name.startswith(("time/", "memory/"))]
differ = [name for name in measured if first[name] != second[name]]
assert len(measured) > 50, measured
assert not differ, f"two identical runs differ in {differ}"
assert 0.93 <= first["rmse"] <= 0.95, f"SVD on a random split has rmse {first['rmse']}"

with sqlite3.connect("mlflow.db") as store:
    runs = store.execute("select name, status from runs order by name").fetchall()
assert [status for _, status in runs] == ["FINISHED"] * 6, runs
sys.stdout.write(f"{len(measured)} metrics identical; runs: {[name for name, _ in runs]}\n")
