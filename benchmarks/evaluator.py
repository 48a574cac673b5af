"""Time and peak memory of recommending to all users and measuring the lists, beside peers.

    python benchmarks/evaluator.py --size large --k 10 --threads 2

Made-up factors (64, normal) and a skewed matrix of seen items, of the size of MovieLens-1M, 10M or
20M. Every row of the table does the same job: the k best unseen items of every user by the
factors, then precision, recall, ndcg and map at three cutoffs. `limit` is the matrix product of
the same scores alone, by the fastest of several ways. Times are the smallest of some rounds, in
which all take turns, in seconds by the clock and of processor time (all threads together, which
says more on a busy machine); ratios are to the limit. Peers that cannot be imported are left out.

All start from what is ready at that point of an experiment: factors, the csr of seen items, the
test items by user. The first call of recexp is timed apart: below a number of scores it works
without its compiled kernel, and loads it beyond. Memory is the largest resident size while
running, less the size before.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
from evaluator_peers import PEERS, Contestant
from evaluator_problem import N_FACTORS, SIZES, Problem, problem
from threadpoolctl import threadpool_limits

from recexp.algorithms.base import FactorModel
from recexp.evaluation import accuracy
from recexp.evaluation.judge import judge
from recexp.evaluation.kernel import compiled_collect
from recexp.evaluation.topk import TopK, tie_order, top_k
from recexp.rng import derive

STATUS = Path("/proc/self/statm")


def limit_blas(p: Problem, n_rows: int) -> None:
    """Multiply blocks of users by all items, BLAS with all threads."""
    out = np.empty((n_rows, p.n_items), np.float32)
    with threadpool_limits(p.threads, user_api="blas"):
        for start in range(0, p.n_users, n_rows):
            left = p.user_factors[start : start + n_rows]
            np.matmul(left, p.item_factors.T, out=out[: len(left)])


def limit_tiles(p: Problem, n_rows: int, width: int) -> None:
    """Multiply tiles, each thread its own with a BLAS of one thread."""
    right = [
        np.ascontiguousarray(p.item_factors[first : first + width].T)
        for first in range(0, p.n_items, width)
    ]

    def multiply(start: int) -> None:
        left = p.user_factors[start : start + n_rows]
        out = np.empty((len(left), width), np.float32)
        for tile in right:
            np.matmul(left, tile, out=out[:, : tile.shape[1]])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(p.threads) as workers:
        list(workers.map(multiply, range(0, p.n_users, n_rows)))


LIMITS: dict[str, Callable[[Problem], None]] = {
    "blocks of 512 users": lambda p: limit_blas(p, 512),
    "blocks of 2048 users": lambda p: limit_blas(p, 2048),
    "tiles of 128 x 512": lambda p: limit_tiles(p, 128, 512),
    "tiles of 512 x 512": lambda p: limit_tiles(p, 512, 512),
}


def recexp_recommend(p: Problem) -> TopK:
    return top_k(
        p,
        np.arange(p.n_users, dtype=np.int32),
        p.k,
        seen=p.seen,
        candidates=None,
        tie_rank=tie_order(p.n_items, derive(42, "ties")),
        threads=p.threads,
        memory_mb=512,
    )


def recexp_metrics(p: Problem, lists: TopK) -> dict[str, float]:
    judged = judge(lists, p.held, p.catalogue, p.k)
    return {
        f"{metric.name}@{k}": float(metric(judged.at(k)).mean())
        for k in p.cutoffs
        for metric in (accuracy.precision, accuracy.recall, accuracy.ndcg, accuracy.map)
    }


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of processor time in all threads."""

    clock: float = np.inf
    cpu: float = np.inf

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.clock + other.clock, self.cpu + other.cpu)

    def least(self, other: Spent) -> Spent:
        return Spent(min(self.clock, other.clock), min(self.cpu, other.cpu))


def spent(function: Callable[[], Any]) -> tuple[Spent, Any]:
    time.sleep(0.1)  # threads of the BLAS call before keep spinning for a while
    clock, cpu = time.perf_counter(), time.process_time()
    result = function()
    return Spent(time.perf_counter() - clock, time.process_time() - cpu), result


def added_memory(function: Callable[[], Any]) -> float:
    """Return how many MB the resident size grows while `function` runs, sampled."""
    page = resource.getpagesize()
    done = threading.Event()

    def resident() -> int:
        return int(STATUS.read_text().split()[1]) * page

    before = largest = resident()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.002):
            largest = max(largest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return (largest - before) / 2**20


def check(p: Problem, lists: TopK, n_sample: int = 300) -> None:
    """Raise AssertionError unless the lists of some users are those of a plain computation.

    The scores are sums of products in another order, so an item may stand where the plain score
    differs from that of the place by rounding, and no more.
    """
    users = np.linspace(0, p.n_users - 1, n_sample).astype(np.int64)
    scores = p.user_factors[users].astype(np.float64) @ p.item_factors.T.astype(np.float64)
    scores[p.seen[users].nonzero()] = -np.inf
    expected = -np.sort(-scores, axis=1)[:, : p.k]
    found = np.take_along_axis(scores, lists.items[users], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(lists.scores[users], expected, rtol=1e-5, atol=1e-5)
    assert all(len(set(row)) == p.k for row in lists.items[users].tolist())


def importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", choices=("all", "quick", "none"), default="quick")
    arguments = parser.parse_args()
    p = problem(arguments.size, arguments.k, arguments.threads)
    assert isinstance(p, FactorModel)
    print(
        f"{p.n_users:,} x {p.n_items:,}, {N_FACTORS} factors, {p.seen.nnz:,} seen, "
        f"k={p.k}, cutoffs {p.cutoffs}, {p.threads} threads"
    )
    entrants = {"recexp": Contestant(recexp_recommend, recexp_metrics, "recexp")}
    for name, peer in PEERS.items():
        asked = {"all": True, "quick": not peer.slow, "none": False}[arguments.peers]
        if asked and importable(peer.needs):
            entrants[name] = peer
    first, lists = spent(lambda: recexp_recommend(p))
    check(p, lists)
    print(f"lists of a sample as NumPy has them; first call {first.clock:.2f} s")
    loading, _ = spent(compiled_collect)
    print(f"kernel loaded in {loading.clock:.2f} s more")
    if STATUS.exists():
        memory = added_memory(lambda: recexp_metrics(p, recexp_recommend(p)))
        print(f"memory beyond the inputs {memory:,.0f} MB")

    limits = dict.fromkeys(LIMITS, Spent())
    steps = {name: (Spent(), Spent()) for name in entrants}
    ndcg: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, product in LIMITS.items():
            limits[name] = limits[name].least(spent(partial(product, p))[0])
        for name, entrant in entrants.items():
            ranking, items = spent(partial(entrant.recommend, p))
            measuring, found = spent(partial(entrant.measure, p, items))
            steps[name] = steps[name][0].least(ranking), steps[name][1].least(measuring)
            ndcg[name] = found.get(f"ndcg@{p.k}", np.nan)
    limit = reduce(Spent.least, limits.values())
    header = ("recommend", "measure", "sum", "/ limit", "cpu", "/ limit", "ndcg")
    print(" " * 36 + "".join(f"{title:>10}" for title in header))
    for name, value in limits.items():
        print(f"{'product in ' + name:36}{value.clock:30.3f}{value.cpu:20.3f}")
    for name, (ranking, measuring) in steps.items():
        total = ranking + measuring
        print(
            f"{name:36}{ranking.clock:10.3f}{measuring.clock:10.3f}{total.clock:10.3f}"
            f"{total.clock / limit.clock:10.2f}{total.cpu:10.3f}{total.cpu / limit.cpu:10.2f}"
            f"{ndcg[name]:10.5f}"
        )


if __name__ == "__main__":
    main()
