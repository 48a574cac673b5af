"""The most similar rows of sparse matrices: weighting, similarities in blocks, the best of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, Float32Array, FloatArray, Sparse
from recexp.progress import progress

Similarity: TypeAlias = Literal["cosine", "tfidf", "bm25"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "tfidf", "bm25")
K1, B = 1.2, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza 2009)."""

_BLOCK = 1 << 22
"""Similarities that a thread computes at a time: 16 MB."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """Rows to be compared, float32 csr, and their lengths.

    The similarity of two rows is their product / (the product of their lengths + shrinkage).
    Lengths are Euclidean, and 1 for BM25, whose weights discount long rows themselves.
    """

    rows: Sparse
    lengths: Float32Array


@dataclass(frozen=True, eq=False)
class Weighting:
    """What the entries of binary rows weigh, as learned from all rows.

    Attributes:
        similarity: `cosine`: 1; `tfidf`: idf = log((1 + N) / (1 + n)) + 1 of the column, which n
            of the N rows have; `bm25`: idf (k1 + 1) / (1 + k1 (1 - b + b length / mean length)).
        columns: float64, the weight of each column.
        mean_length: the mean number of entries of a row.
    """

    similarity: Similarity
    columns: FloatArray
    mean_length: float

    @classmethod
    def learn(cls, rows: Sparse, similarity: Similarity) -> Self:
        """Return the weighting of csr `rows`."""
        n_rows, n_columns = rows.shape
        columns = np.ones(n_columns)
        if similarity != "cosine":
            count = np.bincount(rows.indices, minlength=n_columns)
            columns = np.log((1 + n_rows) / (1 + count)) + 1
        return cls(similarity, columns, max(1.0, rows.nnz / max(1, n_rows)))

    def apply(self, rows: Sparse) -> Weighted:
        """Return csr `rows` of ones with their weights."""
        from scipy.sparse import csr_array

        n_entries = np.diff(rows.indptr)
        data = self.columns[rows.indices]
        if self.similarity == "bm25":
            damping = (K1 + 1) / (1 + K1 * (1 - B + B * n_entries / self.mean_length))
            data = data * np.repeat(damping, n_entries)
        lengths = np.ones(rows.shape[0])
        if self.similarity != "bm25":
            row = np.repeat(np.arange(rows.shape[0]), n_entries)
            lengths = np.sqrt(np.bincount(row, data * data, rows.shape[0]))
        parts = (data.astype(np.float32), rows.indices, rows.indptr)
        return Weighted(csr_array(parts, shape=rows.shape), lengths.astype(np.float32))


def nearest(
    queries: Weighted,
    rows: Weighted,
    k: int,
    shrinkage: float,
    *,
    exclude_self: bool,
    threads: int | None,
) -> Sparse:
    """Return the k most similar `rows` of each query, float32 csr (n_queries, n_rows).

    Only positive similarities; equal ones go to the lower idx. `exclude_self` leaves out the row
    of the same number. The result does not depend on `threads` (None: all cores).
    """
    columns = rows.rows.T.tocsr()

    def similarities(part: slice) -> Float32Array:
        dots = (queries.rows[part] @ columns).toarray()
        dots /= queries.lengths[part, None] * rows.lengths + np.float32(shrinkage) + _TINY
        if exclude_self:
            n = part.stop - part.start
            dots[np.arange(n), np.arange(part.start, part.stop)] = 0
        return np.asarray(dots, np.float32)

    return best_per_row(similarities, queries.rows.shape[0], rows.rows.shape[0], k, threads)


_TINY = np.float32(1e-30)
"""Against 0 / 0 for empty rows."""


def best_per_row(
    values: Callable[[slice], Float32Array],
    n_rows: int,
    n_columns: int,
    k: int,
    threads: int | None = 1,
) -> Sparse:
    """Return the k largest positive entries of each row, csr (n_rows, n_columns).

    `values` gives float32 (len(part), n_columns) of a slice of rows, a new array each time, and is
    called by several threads.
    """
    from scipy.sparse import csr_array

    def best(part: slice) -> tuple[AnyArray, AnyArray, AnyArray]:
        block = values(part)
        if k < n_columns:
            bound = np.partition(block, n_columns - k, axis=1)[:, n_columns - k]
            block[block < bound[:, None]] = 0
        row, column = np.nonzero(block > 0)
        value = block[row, column]
        order = np.lexsort((column, -value, row))  # ties may have left more than k
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = np.sort(order[place < k])
        return part.start + row[kept], column[kept], value[kept]

    parts = list(blocks(n_rows, n_columns, budget=_BLOCK))
    with ThreadPoolExecutor(threads or os.cpu_count()) as workers:
        found = list(progress(workers.map(best, parts), "neighbors", total=len(parts)))
    row, column, value = (np.concatenate(side) for side in zip(*found, strict=True))
    at = (row.astype(np.int32), column.astype(np.int32))
    return csr_array((value, at), shape=(n_rows, n_columns))
