"""RP3beta: random walks of three steps from the user to items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.item_item import ItemToItem
from recexp.algorithms.similarity import best_per_row
from recexp.arrays import AnyArray, Float32Array, Sparse
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class RP3Beta(ItemToItem):
    """The chance that a walk user - item - user - item ends at the item, less for popular ones.

    Paudel, Christoffel, Newell, Bernstein, TiiS 2017: the weight of item i from item j is
    sum_u P(u|j)^alpha P(i|u)^alpha / popularity_i^beta, over steps of equal chance.

    Attributes:
        alpha: exponent of the chance of a step, > 0.
        beta: how much popular items lose, >= 0.
        n_neighbors: the items j kept for each item i, those of the largest weights, >= 1.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all.
    """

    alpha: float = 0.6
    beta: float = 0.4
    n_neighbors: int = 100
    positive_threshold: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        require(self.alpha > 0, self, "alpha", "a number > 0")
        require(self.beta >= 0, self, "beta", "a number >= 0")
        require(self.n_neighbors >= 1, self, "n_neighbors", "a whole number >= 1")
        threads = self.threads
        require(threads is None or threads >= 1, self, "threads", "a whole number >= 1, or null")

    def fit(self, train: Dataset) -> Self:
        positives = self._take_positives(train)
        users_of = positives.T.tocsr()
        popularity = np.maximum(np.diff(users_of.indptr), 1).astype(np.float32)
        damping = popularity ** np.float32(-self.beta)
        from_user = _steps(positives, self.alpha).T.tocsr()  # (item i, user)
        to_user = _steps(users_of, self.alpha).T.tocsr()  # (user, item j)

        def weights(part: slice) -> Float32Array:
            block = np.asarray((from_user[part] @ to_user).toarray(), np.float32)
            block *= damping[part, None]
            n = part.stop - part.start
            block[np.arange(n), np.arange(part.start, part.stop)] = 0.0
            return block

        n_items = train.n_items
        kept = best_per_row(weights, n_items, n_items, self.n_neighbors, self.threads)
        self.weights_ = kept.T.tocsr()
        return self


def _steps(rows: Sparse, alpha: float) -> Sparse:
    """The chance of each step from a row, 1 / its number of entries, to the power `alpha`."""
    from scipy.sparse import csr_array

    n_entries: AnyArray = np.diff(rows.indptr)
    chance = np.repeat(np.maximum(n_entries, 1) ** -alpha, n_entries).astype(np.float32)
    return csr_array((chance, rows.indices, rows.indptr), shape=rows.shape)
