"""Bootstrap confidence intervals over users."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recexp.arrays import FloatArray
from recexp.evaluation.arithmetic import ratio

CONFIDENCE = 0.95
_PER_STREAM = 100
"""Resamples drawn from one child generator: part of the definition of the random numbers, so that
the number of threads does not change them."""
_BLOCK_DRAWS = 1 << 21
"""Draws held at once by each thread, as 8-byte numbers; the results do not depend on it."""


def bootstrap_means(
    values: FloatArray, rng: np.random.Generator, n_resamples: int = 1000
) -> FloatArray:
    """Return the mean of every row over each resample of the columns.

    Args:
        values: float64 (m, n): m metrics of n users, NaN for a user who is not in that mean. All
            metrics are averaged over the same resampled users, so differences stay paired.
        rng: the source of the resamples; they depend on it and on n alone.

    Returns:
        float64 (m, n_resamples); NaN where a resample holds nobody who is in the mean. A resample
        is n users drawn with replacement (Efron 1979), held as the number of times each was
        drawn; all sums are then one matrix product.
    """
    from threadpoolctl import threadpool_limits

    m, n = values.shape
    if not n_resamples:
        return np.empty((m, 0))
    there = ~np.isnan(values)
    _, first, counted_by = np.unique(
        np.packbits(there, axis=1), axis=0, return_index=True, return_inverse=True
    )
    summands = np.vstack([values, there[first]])
    summands[:m][~there] = 0.0
    summands = summands.T
    means = np.empty((n_resamples, m))
    rows = max(1, _BLOCK_DRAWS // n)
    offset = np.arange(rows)[:, None] * n

    def fill(begin: int, stream: np.random.Generator) -> None:
        end = min(begin + _PER_STREAM, n_resamples)
        for start in range(begin, end, rows):
            size = min(rows, end - start)
            drawn = stream.integers(n, size=(size, n))
            drawn += offset[:size]
            counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
            sums = counts.astype(np.float64) @ summands
            weights = sums[:, m:][:, counted_by]
            means[start : start + size] = ratio(sums[:, :m], weights, np.nan)

    starts = range(0, n_resamples, _PER_STREAM)
    # A BLAS with threads of its own takes many times longer when several threads call it.
    n_threads = min(4, os.cpu_count() or 1)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as workers:
        for _ in workers.map(fill, starts, rng.spawn(len(starts))):
            pass
    return means.T


def percentile_interval(resampled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the 2.5 and 97.5 percentiles of each row of `resampled`, (m, n_resamples).

    NaN among them are left out; NaN without resamples.
    """
    if not resampled.shape[1]:
        return np.full(len(resampled), np.nan), np.full(len(resampled), np.nan)
    tail = (1 - CONFIDENCE) / 2
    bounds = np.quantile(resampled, [tail, 1 - tail], axis=1)
    some = np.isnan(resampled).any(axis=1)
    bounds[:, some] = np.nanquantile(resampled[some], [tail, 1 - tail], axis=1)
    return bounds[0], bounds[1]
