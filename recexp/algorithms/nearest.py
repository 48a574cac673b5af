"""The nearest rows of sparse binary matrices, found without holding all similarities at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, Float32Array, FloatArray, Sparse
from recexp.data.compiled import compiled, signature
from recexp.progress import progress

COMPILED_FROM = 1 << 27
"""Additions from which the second or two that numba takes to load are won back."""

_BLOCK = 1 << 22
"""Similarities that a thread computes at a time: 16 MB."""

_TINY = 1e-30
"""Against 0 / 0 for empty rows."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to be compared: csr of ones, and for each row its scale and its length, float32.

    The similarity of two rows is (the sum of the weights of their common columns) * scale * scale
    / (length * length + shrinkage).
    """

    ones: Sparse
    scales: Float32Array
    lengths: Float32Array


def nearest(
    queries: Rows,
    rows: Rows,
    weights: FloatArray,
    k: int,
    shrinkage: float,
    *,
    exclude_self: bool,
    threads: int | None,
) -> Sparse:
    """Return the k most similar `rows` of each query, float32 csr (n_queries, n_rows).

    Only positive similarities; equal ones go to the lower idx. `weights` are those of the columns.
    `exclude_self` leaves out the row of the same number. The result depends neither on `threads`
    (None: all cores) nor on whether it is computed by numba, as large ones are, or by NumPy.
    """
    columns = rows.ones.T.tocsr()
    problem = _Problem(
        queries, rows, columns, weights.astype(np.float32), np.float32(shrinkage + _TINY)
    )
    best = _way(queries.ones, columns)(problem, min(k, rows.ones.shape[0]), exclude_self)
    n_queries, n_rows = queries.ones.shape[0], rows.ones.shape[0]
    parts = list(blocks(n_queries, n_rows, budget=_BLOCK))
    with ThreadPoolExecutor(threads or os.cpu_count()) as workers:
        found = list(progress(workers.map(best, parts), "neighbors", total=len(parts)))
    return _csr(found, n_rows)


@dataclass(frozen=True, eq=False)
class _Problem:
    queries: Rows
    rows: Rows
    columns: Sparse
    weights: Float32Array
    shrinkage: np.float32


_Found: TypeAlias = tuple[AnyArray, AnyArray, AnyArray]
"""Of a slice of queries: the number of nearest rows of each, and one after the other these rows,
ascending, and their similarities."""
_Best: TypeAlias = Callable[[slice], _Found]


def _way(queries: Sparse, columns: Sparse) -> Callable[[_Problem, int, bool], _Best]:
    additions = np.bincount(queries.indices, minlength=queries.shape[1]) @ np.diff(columns.indptr)
    if additions + queries.shape[0] * columns.shape[1] < COMPILED_FROM:
        return by_numpy
    try:
        compiled(_nearest, _TYPES)
    except ImportError:  # numba lags behind new versions of Python and NumPy
        return by_numpy
    return by_numba


def by_numpy(problem: _Problem, k: int, exclude_self: bool) -> _Best:
    """Return the function that finds the nearest rows of a slice of queries."""
    from scipy.sparse import csr_array

    queries, rows = problem.queries, problem.rows
    parts = (problem.weights[queries.ones.indices], queries.ones.indices, queries.ones.indptr)
    weighted = csr_array(parts, shape=queries.ones.shape)
    columns = problem.columns.astype(np.float32)
    n_rows = columns.shape[1]

    def best(part: slice) -> _Found:
        block = (weighted[part] @ columns).toarray()
        block *= queries.scales[part, None]
        block *= rows.scales
        block /= queries.lengths[part, None] * rows.lengths + problem.shrinkage
        if exclude_self:
            block[np.arange(len(block)), np.arange(part.start, part.stop)] = 0
        if k < n_rows:
            bound = np.partition(block, n_rows - k, axis=1)[:, n_rows - k]
            block[block < bound[:, None]] = 0
        row, column = np.nonzero(block > 0)
        value = block[row, column]
        order = np.lexsort((column, -value, row))  # ties may have left more than k
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = np.sort(order[place < k])
        return np.bincount(row[kept], minlength=len(block)), column[kept], value[kept]

    return best


def by_numba(problem: _Problem, k: int, exclude_self: bool) -> _Best:
    """Return the compiled twin of what `by_numpy` returns: the same to the last bit."""
    kernel = compiled(_nearest, _TYPES)
    queries, rows = problem.queries, problem.rows
    fixed = (
        *(queries.ones.indptr.astype(np.int64), queries.ones.indices.astype(np.uint32)),
        *(problem.columns.indptr.astype(np.int64), problem.columns.indices.astype(np.uint32)),
        *(problem.weights, queries.scales, rows.scales, queries.lengths, rows.lengths),
        *(problem.shrinkage, exclude_self),
    )

    def best(part: slice) -> _Found:
        counts = np.zeros(part.stop - part.start, np.int64)
        places = np.empty((len(counts), k), np.int32)
        values = np.empty((len(counts), k), np.float32)
        kernel(*fixed, part.start, counts, places, values)
        found = np.arange(k) < counts[:, None]
        order = np.argsort(np.where(found, places, np.iinfo(np.int32).max), axis=1)
        places = np.take_along_axis(places, order, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        return counts, places[found], values[found]

    return best


_TYPES = signature(
    "void",
    *("int64[]", "uint32[]", "int64[]", "uint32[]"),
    *("float32[]", "float32[]", "float32[]", "float32[]", "float32[]"),
    *("float32", "boolean", "int64", "int64[]!", "int32[][]!", "float32[][]!"),
)


def _nearest(  # type: ignore[no-untyped-def]  # numba infers types
    query_ptr,
    query_columns,
    column_ptr,
    column_rows,
    weights,
    query_scales,
    row_scales,
    query_lengths,
    row_lengths,
    shrinkage,
    exclude_self,
    first,
    counts,
    places,
    values,
):
    n_rows, k = len(row_lengths), places.shape[1]
    sums = np.empty(n_rows, np.float32)
    for at in range(len(counts)):
        query = first + at
        sums[:] = 0
        for p in range(query_ptr[query], query_ptr[query + 1]):
            column = query_columns[p]
            weight = weights[column]
            for row in column_rows[column_ptr[column] : column_ptr[column + 1]]:
                sums[row] += weight
        scale, length = query_scales[query], query_lengths[query]
        for row in range(n_rows):
            sums[row] = (
                sums[row] * scale * row_scales[row] / (length * row_lengths[row] + shrinkage)
            )
        if exclude_self:
            sums[query] = 0
        # A heap with the least similar neighbor on top, of equals that of the highest row.
        heap, owners, n, worst = values[at], places[at], 0, np.float32(0)
        for row in range(n_rows):
            value = sums[row]
            if not value > worst:
                continue
            if n < k:
                hole = n
                n += 1
                while hole > 0 and heap[(hole - 1) // 2] >= value:
                    heap[hole], owners[hole] = heap[(hole - 1) // 2], owners[(hole - 1) // 2]
                    hole = (hole - 1) // 2
            else:
                hole = 0
                while 2 * hole + 1 < k:
                    child = 2 * hole + 1
                    if child + 1 < k and (
                        heap[child + 1] < heap[child]
                        or (heap[child + 1] == heap[child] and owners[child + 1] > owners[child])
                    ):
                        child += 1
                    if heap[child] >= value:
                        break
                    heap[hole], owners[hole] = heap[child], owners[child]
                    hole = child
            heap[hole], owners[hole] = value, row
            if n == k:
                worst = heap[0]
        counts[at] = n


def _csr(found: list[_Found], n_columns: int) -> Any:
    from scipy.sparse import csr_array

    counts, columns, values = (np.concatenate(side) for side in zip(*found, strict=True))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((values, columns, indptr), shape=(len(counts), n_columns))
