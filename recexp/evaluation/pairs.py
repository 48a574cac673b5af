"""Every pair of several runs in one metric, from one pass over shared random numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray
from recexp.errors import DataError
from recexp.evaluation.metrics import lower_is_better
from recexp.evaluation.saved import RATING_METRICS
from recexp.evaluation.significance import (
    N_PERMUTATIONS,
    Columns,
    Comparison,
    Finish,
    cohens_dz,
    correct,
    finishing,
    p_value_of_count,
    user_ids,
    user_values,
)
from recexp.evaluation.summary import Estimate
from recexp.evaluation.uncertainty import bootstrap_means, percentile_interval
from recexp.rng import derive

SIGNIFICANCE_LEVEL = 0.05
_PER_STREAM = 250
"""Sign patterns drawn from one child generator: part of the definition of the random numbers, so
that the number of threads does not change them."""
_BLOCK_FLIPS = 1 << 22


@dataclass(frozen=True)
class Pairs:
    """Several runs in one metric over the users whom all of them measured.

    Attributes:
        metric: `ndcg@10`, or in a segment `cold_users/ndcg@10`.
        estimates: each run's mean and interval, in the order of the runs.
        comparisons: run i against run j at (i, j) for i < j; see `between` for any order. Empty for
            a metric of all lists together, of which no user has a value.
    """

    metric: str
    n_users: int
    estimates: tuple[Estimate, ...]
    comparisons: Mapping[tuple[int, int], Comparison]

    @property
    def lower_is_better(self) -> bool:
        """Whether less of the metric is better."""
        return lower_is_better(self.metric.rpartition("/")[2])

    def best(self) -> set[int]:
        """Return the runs that have the best mean; nobody where all have the same."""
        values = [one.value for one in self.estimates]
        if len(set(values)) == 1:
            return set()
        best = min(values) if self.lower_is_better else max(values)
        return {i for i, value in enumerate(values) if value == best}

    def reordered(self, order: Sequence[int]) -> Pairs:
        """Return the same of the runs in another order, given by their present places."""
        places = combinations(range(len(order)), 2) if self.comparisons else ()
        return replace(
            self,
            estimates=tuple(self.estimates[i] for i in order),
            comparisons={(i, j): self.between(order[i], order[j]) for i, j in places},
        )

    def beaten_by(self, i: int) -> list[int]:
        """Return the runs that run i is significantly better than, by the corrected p-values."""
        if not self.comparisons:
            return []
        others = [j for j in range(len(self.estimates)) if j != i]
        return [j for j in others if is_better(self.between(i, j))]

    def between(self, i: int, j: int) -> Comparison:
        """Return run i against run j."""
        if i < j:
            return self.comparisons[i, j]
        found = self.comparisons[j, i]
        return replace(
            found,
            value_a=found.value_b,
            value_b=found.value_a,
            difference=0.0 - found.difference,
            ci_low=0.0 - found.ci_high,
            ci_high=0.0 - found.ci_low,
            effect_size=0.0 - found.effect_size,
            wins=found.losses,
            losses=found.wins,
        )


def compare_all(
    runs: Sequence[Columns], metric: str, *, seed: int = 42, n_resamples: int = 1000
) -> Pairs:
    """Return the estimates and all paired comparisons of `runs` in `metric`.

    As `significance.compare` with the permutation test, pair by pair, but all runs share the
    resamples of the bootstrap and the sign patterns of the test. Since flipping the signs of the
    differences a - b is flipping those of a and of b, the sums of every pair come from one matrix
    product of the sign patterns with the runs' values. A pair's p-value does not depend on which
    other runs are in the table.

    The intervals are those that `summarize` gave when the runs were recorded with this seed.

    Args:
        runs: the runs' per-user columns, with `user_id` (or `user_idx`).
        metric: see `significance.compare`.

    Raises ConfigError for a metric that a run does not have, DataError when no user is in all runs.
    """
    sums, weights, population, finish = _matrix(runs, metric)
    measured = ~np.isnan(sums).any(axis=0)
    if not measured.any():
        raise DataError(f"no user has '{metric}' in all {len(runs)} runs")
    sums[:, ~measured] = np.nan
    resampled = finish(_resampled(sums, weights, population, seed, n_resamples))
    sums, weights = sums[:, measured], weights[:, measured]
    values = sums / weights.mean(axis=1, keepdims=True)
    points = finish(values.mean(axis=1))
    low, high = percentile_interval(resampled)
    segment, _, name = metric.rpartition("/")
    estimates = tuple(
        Estimate(name, segment, *numbers, values.shape[1])
        for numbers in zip(points.tolist(), low.tolist(), high.tolist(), strict=True)
    )
    flipped = sign_flip_sums(values, seed)
    pairs = list(combinations(range(len(runs)), 2))
    spread = [resampled[i] - resampled[j] for i, j in pairs]
    bounds = percentile_interval(np.stack(spread)) if pairs else (np.empty(0), np.empty(0))

    def compared(pair: tuple[int, int], low: float, high: float) -> Comparison:
        return _comparison(metric, values, points, pair, (low, high), flipped)

    with ThreadPoolExecutor(_threads()) as workers:
        found = list(workers.map(compared, pairs, *(bound.tolist() for bound in bounds)))
    comparisons = dict(zip(pairs, found, strict=True))
    return Pairs(metric, values.shape[1], estimates, comparisons)


def is_better(comparison: Comparison) -> bool:
    """Return whether run a is significantly better than run b (Holm, level 0.05)."""
    lower = lower_is_better(comparison.metric.rpartition("/")[2])
    better = comparison.difference < 0 if lower else comparison.difference > 0
    return better and comparison.p_holm < SIGNIFICANCE_LEVEL


def correct_together(tables: Sequence[Pairs]) -> tuple[Pairs, ...]:
    """Return the tables with Holm's correction over all their comparisons together."""
    corrected = iter(correct([one for table in tables for one in table.comparisons.values()]))
    return tuple(
        replace(table, comparisons={pair: next(corrected) for pair in table.comparisons})
        for table in tables
    )


def sign_flip_sums(
    values: FloatArray, seed: int, n_permutations: int = N_PERMUTATIONS
) -> FloatArray:
    """Return the sum of every row of `values` under random signs of the columns.

    Float64 (rows, n_permutations); the rows share the signs, so that the difference of two rows
    is the sum of their differences under those signs.
    """
    from threadpoolctl import threadpool_limits

    n = values.shape[1]
    columns = np.ascontiguousarray(values.T)
    total = values.sum(axis=1)
    n_bytes = -(-n // 8)
    rows = max(1, _BLOCK_FLIPS // n)
    sums = np.empty((n_permutations, len(values)))

    def fill(begin: int, stream: np.random.Generator) -> None:
        end = min(begin + _PER_STREAM, n_permutations)
        for start in range(begin, end, rows):
            size = min(rows, end - start)
            random = np.frombuffer(stream.bytes(size * n_bytes), np.uint8).reshape(size, n_bytes)
            negative = np.unpackbits(random, axis=1, count=n).astype(np.float64)
            sums[start : start + size] = total - 2 * (negative @ columns)

    starts = range(0, n_permutations, _PER_STREAM)
    streams = derive(seed, "permutation").spawn(len(starts))
    # A BLAS with threads of its own takes many times longer when several threads call it.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(_threads()) as workers,
    ):
        for _ in workers.map(fill, starts, streams):
            pass
    return sums.T


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


def _comparison(
    metric: str,
    values: FloatArray,
    points: FloatArray,
    pair: tuple[int, int],
    interval: tuple[float, float],
    flipped: FloatArray,
) -> Comparison:
    i, j = pair
    d = values[i] - values[j]
    better = -d if lower_is_better(metric.rpartition("/")[2]) else d
    # Sums that are equal in exact arithmetic differ by rounding: of the values, not of `d`.
    rounding = 1e-12 * max(np.abs(values[i]).sum(), np.abs(values[j]).sum())
    n_far = int((np.abs(flipped[i] - flipped[j]) >= abs(d.sum()) - rounding).sum())
    return Comparison(
        metric=metric,
        n_users=len(d),
        value_a=float(points[i]),
        value_b=float(points[j]),
        difference=float(points[i] - points[j]),
        ci_low=interval[0],
        ci_high=interval[1],
        p_value=p_value_of_count(n_far, flipped.shape[1], d),
        effect_size=cohens_dz(d),
        wins=int((better > 0).sum()),
        ties=int((better == 0).sum()),
        losses=int((better < 0).sum()),
    )


def _resampled(
    sums: FloatArray, weights: FloatArray, population: BoolArray, seed: int, n_resamples: int
) -> FloatArray:
    """The metric's mean in each resample of the population, (runs, n_resamples)."""
    rng = derive(seed, "bootstrap")
    sums, weights = sums[:, population], weights[:, population]
    if (weights == 1).all():
        return bootstrap_means(sums, rng, n_resamples)
    both = bootstrap_means(
        np.vstack([sums, np.where(np.isnan(sums), np.nan, weights)]), rng, n_resamples
    )
    ratios: FloatArray = both[: len(sums)] / both[len(sums) :]
    return ratios


def _matrix(
    runs: Sequence[Columns], metric: str
) -> tuple[FloatArray, FloatArray, BoolArray, Finish]:
    """Values and weights (runs, users) of the users in all runs, who of them is in a mean at all.

    A value is NaN where a run has none. The last part turns means into the metric.
    """
    places = _shared([user_ids(columns) for columns in runs])
    parts = [user_values(columns, metric) for columns in runs]
    sums = np.stack([x[place] for (x, _), place in zip(parts, places, strict=True)])
    weights = np.stack([n[place] for (_, n), place in zip(parts, places, strict=True)])
    name = metric.rpartition("/")[2]
    of = runs[0].get("n_ratings" if name in RATING_METRICS else "n_relevant")
    population = np.ones(sums.shape[1], bool) if of is None else (of > 0)[places[0]]
    return sums, weights.astype(np.float64), population, finishing(metric)


def _shared(ids: Sequence[AnyArray]) -> list[AnyArray]:
    """Where in each run the users stand whom all runs have, in the order of the first run."""
    first = ids[0]
    if all(other is first or np.array_equal(first, other) for other in ids[1:]):
        return [np.arange(len(first))] * len(ids)
    common = first
    for other in ids[1:]:
        common = np.intersect1d(common, other)
    orders = [np.argsort(one, kind="stable") for one in ids]
    return [
        order[np.searchsorted(one, common, sorter=order)]
        for one, order in zip(ids, orders, strict=True)
    ]
