"""Time and peak memory from a file of ratings to a ready dataset, beside plain reads of the file.

    python benchmarks/ingest.py --rows 20000000

Ratings like MovieLens' (user, item, half stars, seconds; every pair once) are written as CSV, in
the order of users or shuffled. `recexp` reads them into a Dataset: hashed, every row checked, ids
mapped, in canonical order; `snapshot` is the next time. The others only read the columns. Each
runs in a process of its own, after its imports; all take turns. Times are the smallest of some
rounds, by the clock and of processor time (which says more on a busy machine); ratios are to the
fastest plain read. Readers that cannot be imported are left out. The first recexp run of a machine
compiles for some seconds, which is done apart. Memory is the process's peak, as Linux tells it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

COMPILED = """
from recexp.data.compiled import compiled
from recexp.data.order_compiled import COUNT, DEAL, SORT, count, deal, sort
from recexp.data.readers import load_csv
from recexp.data.scan_spans import SPANS, spans
from recexp.data.scan_values import ENCODE, MOMENTS, encode, moments
for function, signature in {
    count: COUNT, deal: DEAL, sort: SORT, spans: SPANS, encode: ENCODE, moments: MOMENTS
}.items():
    compiled(function, signature)
"""
READERS = {
    "pandas(pyarrow)": ("import pandas", "pandas.read_csv(path, engine='pyarrow')"),
    "polars": ("import polars", "polars.read_csv(path)"),
    "duckdb": ("import duckdb", "duckdb.sql(f\"select * from read_csv('{path}')\").fetchnumpy()"),
    "recexp": (
        COMPILED,
        "load_csv(path, scale=[0.5, 5], snapshot='off')",
    ),
    "recexp, first": (
        COMPILED,
        "load_csv(path, scale=[0.5, 5])",
    ),
    "recexp, snapshot": (
        "from recexp.data.readers import load_csv",
        "load_csv(path, scale=[0.5, 5])",
    ),
}
SCRIPT = """
import json, sys, time
path = sys.argv[1]
try:
    {imports}
except ImportError:
    print("null")
    sys.exit()
clock, cpu = time.perf_counter(), time.process_time()
found = {read}
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1e6
print(json.dumps([time.perf_counter() - clock, time.process_time() - cpu, peak]))
"""


def write_ratings(path: Path, n_rows: int, shuffled: bool) -> None:
    """Write made-up ratings, every pair of user and item once."""
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(0)
    n_users, n_items = max(10, n_rows // 145), max(10, min(27_000, n_rows // 10))
    drawn = int(1.6 * n_rows)
    users = (rng.random(drawn) ** 1.5 * n_users).astype(np.int64)
    items = (rng.random(drawn) ** 2 * n_items).astype(np.int64)
    pairs = np.unique(users * n_items + items)
    pairs = np.sort(rng.choice(pairs, min(n_rows, len(pairs)), replace=False))
    if shuffled:
        rng.shuffle(pairs)
    columns = {
        "userId": pairs // n_items + 1,
        "movieId": pairs % n_items * 5 + 1,
        "rating": rng.integers(1, 11, len(pairs)) / 2,
        "timestamp": rng.integers(789_652_009, 1_427_784_002, len(pairs)),
    }
    csv.write_csv(pa.table(columns), path)


def measure(name: str, path: Path, cache: Path) -> tuple[float, float, float] | None:
    """Seconds, processor seconds and peak GB of one reader in a new process."""
    imports, read = READERS[name]
    code = SCRIPT.format(imports=imports.replace("\n", "\n    "), read=read)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "RECEXP_CACHE": str(cache)},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return None if found is None else tuple(found)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shuffled", action="store_true", help="rows in no order")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="recexp-ingest-"))
    try:
        path = folder / "ratings.csv"
        write_ratings(path, arguments.rows, arguments.shuffled)
        print(
            f"{arguments.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores"
        )
        best: dict[str, tuple[float, float, float]] = {}
        measure("recexp, first", path, folder / "cache")  # compiles
        for _ in range(arguments.rounds):
            shutil.rmtree(folder / "cache" / "snapshots", ignore_errors=True)
            for name in READERS:
                found = measure(name, path, folder / "cache")
                if found is not None:
                    known = best.get(name, found)
                    best[name] = tuple(map(min, known, found))  # type: ignore[assignment]
        plain = [best[name] for name in best if not name.startswith("recexp")]
        fastest = [min(column) for column in zip(*plain, strict=True)]
        print(f"{'':18}{'seconds':>9}{'ratio':>7}{'cpu s':>8}{'ratio':>7}{'peak GB':>9}")
        for name, (clock, cpu, peak) in best.items():
            ratios = f"{clock:9.2f}{clock / fastest[0]:7.2f}{cpu:8.2f}{cpu / fastest[1]:7.2f}"
            print(f"{name:18}{ratios}{peak:9.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
