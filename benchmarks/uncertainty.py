"""Times bootstrap intervals over users, beside scipy.stats.bootstrap on the same numbers.

    python benchmarks/uncertainty.py [--users 138493] [--metrics 10] [--resamples 1000]

Both take the 95 % percentile interval of the mean of every metric. Times are the smallest of
`--rounds`, in which both take turns; SciPy gets the batch that keeps its memory near ours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from recexp.arrays import FloatArray
from recexp.evaluation.uncertainty import bootstrap_means, percentile_interval


def main() -> None:
    """Print both times, their ratio, and how far the intervals lie apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=138_493, help="as in MovieLens-20M")
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    values = np.random.default_rng(0).beta(0.5, 2.0, (options.metrics, options.users))

    def ours() -> Any:
        rng = np.random.default_rng(1)
        return percentile_interval(bootstrap_means(values, rng, options.resamples))

    def scipy() -> Any:
        found = bootstrap(
            (values,),
            np.mean,
            axis=-1,
            n_resamples=options.resamples,
            method="percentile",
            batch=10,
            rng=np.random.default_rng(1),
        )
        return found.confidence_interval

    seconds: dict[str, list[float]] = {"recexp": [], "scipy.stats.bootstrap": []}
    intervals: dict[str, FloatArray] = {}
    for _ in range(options.rounds):
        for name, job in (("recexp", ours), ("scipy.stats.bootstrap", scipy)):
            taken, found = timed(job)
            seconds[name].append(taken)
            intervals[name] = np.array(found)
    best = {name: min(times) for name, times in seconds.items()}
    print(f"{options.metrics} metrics, {options.users:,} users, {options.resamples:,} resamples")
    for name, taken in best.items():
        print(f"  {name:22} {taken:8.2f} s  {taken / best['recexp']:6.1f}")
    ours_, theirs = intervals.values()
    apart = np.abs(ours_ - theirs) / (theirs[1] - theirs[0])
    print(f"  the bounds lie at most {apart.max():.0%} of an interval's width apart")


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that `job` takes, and what it returns."""
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
