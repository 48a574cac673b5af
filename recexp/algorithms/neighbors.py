"""Nearest neighbors on implicit feedback: over items, and over users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.item_item import ItemToItem, heaviest
from recexp.algorithms.nearest import Rows, nearest
from recexp.algorithms.positives import LearnsFromPositives
from recexp.algorithms.similarity import SIMILARITIES, Similarity, Weighting
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
        normalize: whether the similarities to an item's neighbors are scaled to sum to 1.
        centered: whether to score m_i + sum_j w_ij (x_j - m_j), m_j the share of users who have j
            and x_j whether this one has: neighbors count by how much more of them he has than
            others (the centering of Sarwar, Karypis, Konstan, Riedl, WWW 2001).
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all.
    """

    n_neighbors: int = 100
    similarity: Similarity = "tfidf"
    shrinkage: float = 10.0
    normalize: bool = False
    centered: bool = False
    positive_threshold: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _require(self)

    def fit(self, train: Dataset) -> Self:
        users_of = self._take_positives(train).T.tocsr()
        weighting = Weighting.learn(users_of, self.similarity)
        items = weighting.apply(users_of)
        neighbors = nearest(
            items,
            items,
            weighting.columns**2,
            self.n_neighbors,
            self.shrinkage,
            exclude_self=True,
            threads=self.threads,
        )
        if self.normalize:
            total = np.maximum(neighbors.sum(axis=1), np.float32(1e-30))
            neighbors.data /= np.repeat(total, np.diff(neighbors.indptr))
        self.weights_ = neighbors.T.tocsr()
        shares = np.diff(users_of.indptr) / max(1, users_of.shape[1])
        offsets = (shares - neighbors @ shares) * self.centered
        self.offsets_: Float32Array = offsets.astype(np.float32)
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return super().score(users) + self.offsets_

    def score_histories(self, histories: Sparse) -> Float32Array:
        return super().score_histories(histories) + self.offsets_

    def state(self) -> dict[str, Any]:
        return super().state() | {"offsets": self.offsets_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.offsets_ = state["offsets"]
        return super().restore(state)


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
        self.neighbors_: Sparse = self._nearest(self.weighting_.apply(histories), True)
        return self

    def _nearest(self, queries: Rows, exclude_self: bool) -> Sparse:
        return nearest(
            queries,
            self.weighting_.apply(self.histories_),
            self.weighting_.columns**2,
            self.n_neighbors,
            self.shrinkage,
            exclude_self=exclude_self,
            threads=self.threads,
        )

    def score(self, users: IdxArray) -> Float32Array:
        return np.asarray((self.neighbors_[users] @ self.histories_).toarray(), np.float32)

    def score_histories(self, histories: Sparse) -> Float32Array:
        queries = self.weighting_.apply(self._positives_of(histories))
        neighbors = self._nearest(queries, False)
        return np.asarray((neighbors @ self.histories_).toarray(), np.float32)

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        """The user's items that he has in common with neighbors who have the item."""
        similar = self.neighbors_[[user]]
        has_item = self.histories_[similar.indices][:, [item]].toarray().ravel() > 0
        history = self.histories_[[user]].indices
        common = self.histories_[similar.indices[has_item]][:, history]
        weights = self.weighting_.columns[history] ** 2
        # A similarity is a sum over the common items: each adds its weight's share of it.
        share = similar.data[has_item] / (common @ weights)
        return heaviest(history, weights * (share @ common), n)

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
