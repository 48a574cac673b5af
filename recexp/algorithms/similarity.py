"""How alike rows are: what their entries weigh, and what their similarity is divided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np

from recexp.algorithms.nearest import Rows
from recexp.arrays import FloatArray, Sparse

Similarity: TypeAlias = Literal["cosine", "tfidf", "bm25"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "tfidf", "bm25")
K1, B = 1.2, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza 2009)."""


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

    def apply(self, rows: Sparse) -> Rows:
        """Return csr `rows` of ones as rows to compare.

        They are divided by their Euclidean lengths; BM25, whose weights discount long rows
        themselves, by 1.
        """
        n_entries = np.diff(rows.indptr)
        scales = lengths = np.ones(len(n_entries))
        if self.similarity == "bm25":
            scales = (K1 + 1) / (1 + K1 * (1 - B + B * n_entries / self.mean_length))
        else:
            lengths = np.sqrt(rows @ self.columns**2)
        return Rows(rows, scales.astype(np.float32), lengths.astype(np.float32))
