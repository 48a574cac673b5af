"""Time and peak memory of every split and its audit on made-up interactions.

    python benchmarks/splits.py --interactions 20000000

Each split runs in a process of its own that first builds the dataset. `memory` is the largest
resident size while splitting and auditing, less the size before the dataset was built, over the
bytes of the interactions' columns: the interactions and both sides are in it. (Where the system
cannot reset the peak, building the dataset is in it too.)
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_array

from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.rng import derive
from recexp.splits.audit import audit
from recexp.splits.base import Protocol
from recexp.splits.cold import cold_item, cold_user
from recexp.splits.per_user import last_n, temporal_user
from recexp.splits.predefined import predefined, save
from recexp.splits.random import k_fold, random
from recexp.splits.temporal import sliding, temporal

PROTOCOLS: dict[str, Protocol] = {
    "temporal": temporal,
    "temporal target=last": partial(temporal, target="last"),
    "temporal_user": temporal_user,
    "last_n": last_n,
    "sliding rolling": partial(sliding, window=2, train="rolling"),
    "random": random,
    "random within=user": partial(random, within="user"),
    "k_fold": k_fold,
    "cold_user": partial(cold_user, n_history=5),
    "cold_user choose=time": partial(cold_user, choose="time"),
    "cold_item": cold_item,
    "cold_item choose=time": partial(cold_item, choose="time"),
}
SECONDS, TIMES_MEMORY = 10.0, 3.0
BYTES = 20
"""An interaction in memory: two int32, a float32 and an int64."""
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
MACOS = sys.platform == "darwin"
T = TypeVar("T")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--only", help="part of a protocol's name")
    args = parser.parse_args()
    print(f"{args.interactions:,} interactions")
    print(f"{'split':24}{'split s':>9}{'audit s':>9}{'sum s':>9}{'cpu s':>9}{'memory':>9}")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        protocols = {**PROTOCOLS, "predefined (saved)": partial(predefined, path=folder)}
        for name in (name for name in protocols if (args.only or "") in name):
            if name.startswith("predefined"):
                apart(save_split, args.interactions, folder)
            split, audited, cpu, memory = apart(measure, protocols[name], args.interactions)
            met = split + audited < SECONDS and memory <= TIMES_MEMORY
            missed += not met
            print(
                f"{name:24}{split:9.2f}{audited:9.2f}{split + audited:9.2f}{cpu:9.2f}{memory:8.2f}x"
                f"{'' if met else '  over the target'}",
                flush=True,
            )
    print(f"target: under {SECONDS:g} s together and at most {TIMES_MEMORY:g}x the interactions")
    return 1 if missed else 0


def measure(protocol: Protocol, n: int) -> tuple[float, float, float, float]:
    """Return the seconds of splitting, of auditing, of the processor, and the peak memory."""
    # A first small run, so that imports count in neither time nor memory.
    with tempfile.TemporaryDirectory() as folder:
        small = synthetic(10_000)
        audit(predefined(small, derive(1), path=str(save(temporal(small, derive(1)), folder))))
    before = reset_peak()
    dataset = synthetic(n)
    reset_peak()
    cpu = time.process_time()
    start = time.perf_counter()
    split = protocol(dataset, derive(42, "split"))
    middle = time.perf_counter()
    audit(split)
    end = time.perf_counter()
    cpu = time.process_time() - cpu
    return middle - start, end - middle, cpu, (peak() - before) / (BYTES * n)


def apart(task: Callable[..., T], *args: object) -> T:
    """Return what `task` returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(task, args)


def synthetic(n: int) -> Dataset:
    """Return `n` ratings shaped like MovieLens-20M: 144 a user, popularity with a long tail."""
    rng = derive(0, "benchmark")
    n_users, n_items = max(n // 144, 10), max(n // 750, 10)
    user_idx = rng.integers(0, n_users, n, dtype=np.int32)
    item_idx = (n_items * rng.random(n) ** 3).astype(np.int32)
    stamp = rng.integers(800_000_000, 1_500_000_000, n)
    order = np.lexsort((stamp, item_idx, user_idx))
    user_idx, item_idx, stamp = user_idx[order], item_idx[order], stamp[order]
    value = rng.integers(1, 6, n).astype(np.float32)
    whole = Interactions(user_idx, item_idx, value, stamp, n_users, n_items)
    users, items = IdMap(range(n_users)), IdMap(range(n_items))
    years = csr_array(rng.integers(1930, 2020, (n_items, 1)).astype(np.float32))
    return Dataset(
        "synthetic", whole, users, items, (1.0, 5.0), 4.0, item_features=Features(years, ("year",))
    )


def reset_peak() -> int:
    """Start to measure the peak anew where the system allows it; return the bytes held now."""
    if not CLEAR.exists():
        return peak()
    CLEAR.write_text("5")
    return peak()


def peak() -> int:
    """Return the largest number of bytes that this process held in memory."""
    if STATUS.exists():
        line = next(one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if MACOS else 1024)


def save_split(n: int, folder: str) -> None:
    save(random(synthetic(n), derive(42, "split")), folder)


if __name__ == "__main__":
    sys.exit(main())
