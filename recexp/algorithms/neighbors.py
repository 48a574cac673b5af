"""Nearest neighbors on implicit feedback: over items, and over users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.item_item import ItemToItem
from recexp.algorithms.positives import LearnsFromPositives
from recexp.algorithms.similarity import SIMILARITIES, Similarity, Weighted, Weighting, nearest
from recexp.arrays import Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class ItemKNN(ItemToItem):
    """The summed similarity of an item's nearest neighbors that are in the history.

    Deshpande and Karypis, TOIS 2004. Items are compared by the users they are positives of.

    Attributes:
        n_neighbors: the most similar items of each item that count, >= 1.
        similarity: `cosine`, `tfidf` (cosine of idf weights) or `bm25` (see `Weighting`).
        shrinkage: added to the denominator, so that few common users count less, >= 0.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all.
    """

    n_neighbors: int = 100
    similarity: Similarity = "tfidf"
    shrinkage: float = 10.0
    positive_threshold: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _require(self)

    def fit(self, train: Dataset) -> Self:
        users_of = self._take_positives(train).T.tocsr()
        weighted = Weighting.learn(users_of, self.similarity).apply(users_of)
        neighbors = nearest(
            weighted,
            weighted,
            self.n_neighbors,
            self.shrinkage,
            exclude_self=True,
            threads=self.threads,
        )
        self.weights_ = neighbors.T.tocsr()
        return self


@dataclass(eq=False)
class UserKNN(LearnsFromPositives):
    """The summed similarity of the user's nearest neighbors that have the item.

    Herlocker et al., SIGIR 1999, on implicit feedback. Users are compared by their positives; a
    history given later is compared with the training users.

    Attributes:
        n_neighbors: the most similar users of each user that count, >= 1.
        similarity: `cosine`, `tfidf` (cosine of idf weights) or `bm25` (see `Weighting`).
        shrinkage: added to the denominator, so that few common items count less, >= 0.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all.
    """

    n_neighbors: int = 100
    similarity: Similarity = "tfidf"
    shrinkage: float = 10.0
    positive_threshold: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _require(self)

    def fit(self, train: Dataset) -> Self:
        histories = self._take_positives(train)
        self.weighting_ = Weighting.learn(histories, self.similarity)
        weighted = self.weighting_.apply(histories)
        self.neighbors_: Sparse = self._nearest(weighted, exclude_self=True)
        return self

    def _nearest(self, queries: Weighted, exclude_self: bool) -> Sparse:
        return nearest(
            queries,
            self.weighting_.apply(self.histories_),
            self.n_neighbors,
            self.shrinkage,
            exclude_self=exclude_self,
            threads=self.threads,
        )

    def score(self, users: IdxArray) -> Float32Array:
        return np.asarray((self.neighbors_[users] @ self.histories_).toarray(), np.float32)

    def score_histories(self, histories: Sparse) -> Float32Array:
        queries = self.weighting_.apply(self._positives_of(histories))
        neighbors = self._nearest(queries, exclude_self=False)
        return np.asarray((neighbors @ self.histories_).toarray(), np.float32)

    def state(self) -> dict[str, Any]:
        return {
            "histories": self.histories_,
            "neighbors": self.neighbors_,
            "threshold": self.threshold_,
            "columns": self.weighting_.columns,
            "mean_length": self.weighting_.mean_length,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.histories_ = state["histories"]
        self.neighbors_ = state["neighbors"]
        self.threshold_ = state["threshold"]
        self.weighting_ = Weighting(self.similarity, state["columns"], state["mean_length"])
        return self


def _require(model: ItemKNN | UserKNN) -> None:
    require(model.n_neighbors >= 1, model, "n_neighbors", "a whole number >= 1")
    require(model.similarity in SIMILARITIES, model, "similarity", " or ".join(SIMILARITIES))
    require(model.shrinkage >= 0, model, "shrinkage", "a number >= 0")
    threads = model.threads
    require(threads is None or threads >= 1, model, "threads", "a whole number >= 1, or null")
