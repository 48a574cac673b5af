"""EASE: a linear model between items in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.guards import blocks, require_memory
from recexp.algorithms.item_item import ItemToItem
from recexp.arrays import FloatArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError


@dataclass(eq=False)
class EASE(ItemToItem):
    """Ridge regression of every item on all others: B = I - P / diag(P), P = (X'X + lambda I)^-1.

    Steck, WWW 2019. X are the positives; B's diagonal is 0. Dense: memory grows with the square of
    the catalogue (12 bytes a pair of items in training, 4 afterwards), time with its cube.

    Attributes:
        regularization: lambda, > 0: the more, the less is learned from rare items.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
    """

    regularization: float = 300.0
    positive_threshold: float | None = None

    def __post_init__(self) -> None:
        require(self.regularization > 0, self, "regularization", "a number > 0")

    def fit(self, train: Dataset) -> Self:
        require_memory(
            self,
            12.0 * train.n_items**2,
            f"the weights between {train.n_items:,} items",
            "use algo=itemknn, algo=slim or algo=als, or fewer items (preprocess=k_core)",
        )
        inverse = self._inverse(self._take_positives(train))
        weights = np.empty(inverse.shape, np.float32)
        scale = -1 / np.diag(inverse)
        for rows in blocks(len(inverse), len(inverse)):
            # Only the lower triangle is there: row i is its row up to i, then its column from i.
            weights[rows] = inverse[rows]
            for i in range(rows.start, rows.stop):
                weights[i, i:] = inverse[i:, i]
            weights[rows] *= scale
        np.fill_diagonal(weights, 0.0)
        self.weights_ = weights
        return self

    def _inverse(self, positives: Sparse) -> FloatArray:
        """(X'X + lambda I)^-1 in the lower triangle; Cholesky in place is 1/2 the work of an LU."""
        from scipy.linalg import lapack

        gram = _gram(positives)
        gram[np.diag_indices_from(gram)] += self.regularization
        # gram.T is the same symmetric matrix in the column order that LAPACK overwrites.
        factor, failed = lapack.dpotrf(gram.T, lower=False, clean=False, overwrite_a=True)
        if not failed:
            inverse, failed = lapack.dpotri(factor, lower=False, overwrite_c=True)
        if failed:
            raise ConfigError(
                f"algo.regularization={self.regularization}: EASE cannot invert the matrix of "
                "these items; use a larger value"
            )
        lower: FloatArray = inverse.T
        return lower


def _gram(positives: Sparse) -> FloatArray:
    """X'X, float64 (n_items, n_items), block by block: a sparse product would take more memory."""
    n_items = positives.shape[1]
    gram = np.empty((n_items, n_items))
    by_item = positives.T.tocsr()
    for rows in blocks(n_items, n_items, budget=1 << 24):
        gram[rows] = (by_item[rows] @ positives).toarray()
    return gram
