"""EASE: a linear model between items in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recexp.algorithms.base import check_needs, require
from recexp.algorithms.guards import blocks, require_memory
from recexp.algorithms.item_item import ItemToItem
from recexp.arrays import FloatArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError

_SMALL = 512
"""Rows of a matrix that is inverted at once, not by halves."""


@dataclass(eq=False)
class EASE(ItemToItem):
    """Ridge regression of every item on all others: B = I - P / diag(P), P = (X'X + lambda I)^-1.

    Steck, WWW 2019. X are the positives; B's diagonal is 0. Dense: memory grows with the square of
    the catalogue (12 bytes a pair of items in training, 4 afterwards), time with its cube. The
    inverse is computed in float64 and the weights are kept in float32.

    Attributes:
        regularization: lambda, > 0: the more, the less is learned from rare items.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
    """

    regularization: float = 300.0
    positive_threshold: float | None = None

    def __post_init__(self) -> None:
        require(self.regularization > 0, self, "regularization", "a number > 0")

    def check_memory(self, train: Dataset) -> None:
        require_memory(
            self,
            12.0 * train.n_items**2,
            f"the weights between {train.n_items:,} items",
            "use algo=itemknn, algo=slim or algo=als, or fewer items (preprocess=k_core)",
        )

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        inverse = _gram(self._take_positives(train))
        inverse[np.diag_indices_from(inverse)] += self.regularization
        _invert(inverse)
        if not (np.diag(inverse) > 0).all():
            raise ConfigError(
                f"algo.regularization={self.regularization}: EASE cannot invert the matrix of "
                "these items; use a larger value"
            )
        weights = np.empty(inverse.shape, np.float32)
        np.multiply(inverse, -1 / np.diag(inverse), out=weights, casting="same_kind")
        np.fill_diagonal(weights, 0.0)
        self.weights_ = weights
        return self


def _invert(matrix: FloatArray) -> None:
    """Invert a symmetric positive definite matrix in place, by halves and their Schur complement.

    Nearly all of it is matrix products, half the work of `numpy.linalg.inv` on half the memory.
    LAPACK's Cholesky would be less work still, but OpenBLAS (0.3.30, two threads) writes beyond its
    buffers there for 20,000 items, and the process dies.
    """
    n = len(matrix)
    if n <= _SMALL:
        matrix[:] = np.linalg.inv(matrix)
        return
    half = n // 2
    first, mixed, last = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    _invert(first)
    projection = first @ mixed
    last -= mixed.T @ projection
    _invert(last)
    np.matmul(projection, last, out=mixed)
    np.negative(mixed, out=mixed)
    first -= mixed @ projection.T
    matrix[half:, :half] = mixed.T


def _gram(positives: Sparse) -> FloatArray:
    """X'X, float64 (n_items, n_items), block by block: a sparse product would take more memory."""
    n_items = positives.shape[1]
    gram = np.empty((n_items, n_items))
    by_item = positives.T.tocsr()
    for rows in blocks(n_items, n_items, budget=1 << 24):
        gram[rows] = (by_item[rows] @ positives).toarray()
    return gram
