"""An algorithm from outside: items that the same users liked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.arrays import Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class Cooccurrence:
    """How often the users who liked an item also liked those of the history.

    Attributes:
        min_count: common users below which two items have nothing to do with each other, >= 1.
    """

    min_count: int = 1

    def __post_init__(self) -> None:
        require(self.min_count >= 1, self, "min_count", "a whole number >= 1")

    def fit(self, train: Dataset) -> Self:
        self.histories_: Sparse = train.positives().csr("ones")
        counts = (self.histories_.T @ self.histories_).toarray()
        np.fill_diagonal(counts, 0)
        self.counts_: Float32Array = np.where(counts >= self.min_count, counts, 0)
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return np.asarray(self.histories_[users] @ self.counts_, np.float32)

    # What follows is optional. With a state, a run keeps the fitted model.

    def state(self) -> dict[str, Any]:
        return {"histories": self.histories_, "counts": self.counts_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.histories_, self.counts_ = state["histories"], state["counts"]
        return self

    def similarities(self, items: IdxArray) -> Float32Array:
        return self.counts_[items]
