"""SLIM: sparse linear models between items."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.item_item import ItemToItem
from recexp.arrays import AnyArray, Sparse
from recexp.data.dataset import Dataset
from recexp.progress import progress


@dataclass(eq=False)
class SLIM(ItemToItem):
    """Regression of every item on all others with weights >= 0, most of them 0.

    Ning and Karypis, ICDM 2011; the elastic net is scikit-learn's: for each column x of the
    positives X, the w >= 0 with w_x = 0 that minimizes
    |x - X w|^2 / 2n + regularization (l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2), n users.

    Attributes:
        regularization: scikit-learn's alpha, > 0.
        l1_ratio: the share of the penalty that makes weights 0, in (0, 1].
        max_iterations: most rounds of coordinate descent, >= 1.
        tolerance: the relative duality gap at which the descent stops, > 0.
        n_neighbors: the largest weights of each item that are kept, >= 1; None: all.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all.
    """

    regularization: float = 0.1
    l1_ratio: float = 0.01
    max_iterations: int = 100
    tolerance: float = 1e-3
    n_neighbors: int | None = None
    positive_threshold: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        require(self.regularization > 0, self, "regularization", "a number > 0")
        require(0 < self.l1_ratio <= 1, self, "l1_ratio", "a number in (0, 1]")
        require(self.max_iterations >= 1, self, "max_iterations", "a whole number >= 1")
        require(self.tolerance > 0, self, "tolerance", "a number > 0")
        kept = self.n_neighbors
        require(kept is None or kept >= 1, self, "n_neighbors", "a whole number >= 1, or null")
        threads = self.threads
        require(threads is None or threads >= 1, self, "threads", "a whole number >= 1, or null")

    def fit(self, train: Dataset) -> Self:
        from scipy.sparse import csr_array
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        positives = self._take_positives(train)
        items = np.flatnonzero(np.bincount(positives.indices, minlength=train.n_items))
        regression = self._regression_on(positives)
        with (
            warnings.catch_warnings(),
            # BLAS threads waiting for each other in short products take ten times the time.
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(self.threads or os.cpu_count()) as pool,
        ):
            # `max_iterations` is the user's bound on the work, not a mishap.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = list(progress(pool.map(regression, items), "slim items", total=len(items)))
        sources, weights = (np.concatenate(side) for side in zip(*found, strict=True))
        targets = np.repeat(items, [len(part) for part, _ in found])
        self.weights_ = csr_array(
            (weights, (sources, targets)), shape=(train.n_items, train.n_items), dtype=np.float32
        )
        return self

    def _regression_on(self, positives: Sparse) -> Callable[[int], tuple[AnyArray, AnyArray]]:
        """A function that gives the items with a weight > 0 for an item, and these weights."""
        from sklearn.linear_model import ElasticNet

        # scikit-learn compiles its descent for 64-bit floats and 32-bit indices.
        columns = positives.astype(np.float64).tocsc()
        penalty = self.regularization * self.l1_ratio * positives.shape[0]

        def regression(item: int) -> tuple[AnyArray, AnyArray]:
            column = columns[:, [item]]
            # Items with too few common users have weight 0 in the full problem too: their gradient,
            # at first the number of these users, only falls. So only the others take part.
            others, common = np.unique(positives[column.indices].indices, return_counts=True)
            others = others[(common > penalty) & (others != item)]
            if not len(others):
                return others, np.empty(0)
            model = ElasticNet(
                alpha=self.regularization,
                l1_ratio=self.l1_ratio,
                fit_intercept=False,
                positive=True,
                max_iter=self.max_iterations,
                tol=self.tolerance,
                random_state=0,  # not used, but None draws from the global generator
            )
            model.fit(columns[:, others], column.toarray().ravel())
            kept = np.flatnonzero(model.coef_)
            if self.n_neighbors is not None:
                kept = kept[np.argsort(-model.coef_[kept], kind="stable")[: self.n_neighbors]]
            return others[kept], model.coef_[kept]

        return regression
