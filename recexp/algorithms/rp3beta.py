"""RP3beta: random walks of three steps from the user to items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.item_item import ItemToItem
from recexp.algorithms.nearest import Rows, nearest
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
        n_items_of = np.maximum(np.diff(positives.indptr), 1.0)
        popularity = np.maximum(np.diff(users_of.indptr), 1.0)
        free = np.zeros(train.n_items, np.float32)
        neighbors = nearest(
            Rows(users_of, (popularity**-self.beta).astype(np.float32), free),
            Rows(users_of, (popularity**-self.alpha).astype(np.float32), free),
            n_items_of**-self.alpha,
            self.n_neighbors,
            shrinkage=1.0,
            exclude_self=True,
            threads=self.threads,
        )
        self.weights_ = neighbors.T.tocsr()
        return self
