"""EASE: a linear model between items in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import check_needs, require
from recexp.algorithms.guards import require_memory
from recexp.algorithms.inverse import BYTES, diagonal, inverse_of_gram, whole
from recexp.algorithms.item_item import ItemToItem
from recexp.arrays import Float32Array, FloatArray, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError


@dataclass(eq=False)
class EASE(ItemToItem):
    """Ridge regression of every item on all others: B = I - P / diag(P), P = (X'X + lambda I)^-1.

    Steck, WWW 2019. X are the positives; B's diagonal is 0. With fewer users than items the same B
    comes from an inverse between users (see `WeightsByUsers`) and is not laid out. Dense: memory
    grows with the square of the smaller number, of users or of items (6 bytes a pair in training,
    4 afterwards), time with its cube. The inverse is computed in float64 and kept in float32.

    Attributes:
        regularization: lambda, > 0: the more, the less is learned from rare items.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
    """

    regularization: float = 300.0
    positive_threshold: float | None = None

    def __post_init__(self) -> None:
        require(self.regularization > 0, self, "regularization", "a number > 0")

    def check_memory(self, train: Dataset) -> None:
        if _by_users(train):
            n, what, fewer = train.n_users, "inverse between {:,} users", "users or items"
        else:
            n, what, fewer = train.n_items, "weights between {:,} items", "items"
        require_memory(
            self,
            BYTES * n**2,
            f"the {what.format(n)}",
            f"use algo=itemknn, algo=slim or algo=als, or fewer {fewer} (preprocess=k_core)",
        )

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        positives = self._take_positives(train)
        penalty = self.regularization
        try:
            if _by_users(train):
                panels = inverse_of_gram(positives, penalty)
                self.weights_ = WeightsByUsers.of(panels, positives, penalty)
            else:
                self.weights_ = _weights(inverse_of_gram(positives.T.tocsr(), penalty))
        except np.linalg.LinAlgError as error:
            raise ConfigError(
                f"algo.regularization={self.regularization}: EASE cannot invert the matrix of "
                "these items; use a larger value"
            ) from error
        return self

    def score(self, users: IdxArray) -> Float32Array:
        if isinstance(self.weights_, WeightsByUsers):
            return self.weights_.scores_of_training(users)
        return super().score(users)

    def state(self) -> dict[str, Any]:
        if not isinstance(self.weights_, WeightsByUsers):
            return super().state()
        return {
            "histories": self.histories_,
            "inverse": self.weights_.inverse,
            "scales": self.weights_.scales,
            "threshold": self.threshold_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        if "inverse" not in state:
            return super().restore(state)
        weights = WeightsByUsers(
            state["histories"], state["inverse"], state["scales"], self.regularization
        )
        return super().restore({**state, "weights": weights})


@dataclass(frozen=True, eq=False)
class WeightsByUsers:
    """The weights between items through the users they have in common: `H @ self`, `self[items]`.

    With Q = (X X' + lambda I)^-1, P = (I - X'Q X) / lambda and X P = Q X, so that
    B = I - (I - X'Q X) S and X B = X - lambda Q X S, where S = 1 / (1 - diag(X'Q X)).
    A training user costs a pass over X, a history given later that and a pass over the rows of Q
    for all users with an item of it.

    Attributes:
        positives: X, float32 csr (n_users, n_items) of ones.
        inverse: Q, float32 (n_users, n_users).
        scales: the diagonal of S, float32 (n_items,).
        regularization: lambda.
    """

    positives: Sparse
    inverse: Float32Array
    scales: Float32Array
    regularization: float

    @classmethod
    def of(cls, panels: list[FloatArray], positives: Sparse, regularization: float) -> Self:
        """Return the weights from Q in panels, which are used up."""
        shared = np.zeros(positives.shape[1])  # the diagonal of X'Q X
        for panel in panels:
            stop = panel.shape[1]
            start = stop - len(panel)
            pairs = panel.T.copy()
            pairs[:start] *= 2  # for the triangle that is not there
            users, items = positives[start:stop].nonzero()
            products = (positives[:stop].T @ pairs)[items, users]
            shared += np.bincount(items, products, minlength=len(shared))
        scales = (1 / _above_0(1 - shared)).astype(np.float32)
        return cls(positives, whole(panels), scales, regularization)

    def scores_of_training(self, users: IdxArray) -> Float32Array:
        """Return X B for the rows of `users`."""
        scores = self._from_users(self.inverse[users])
        scores *= np.float32(-self.regularization) * self.scales
        rows, items = self.positives[users].nonzero()
        scores[rows, items] += 1.0
        return scores

    def __rmatmul__(self, histories: Sparse) -> Float32Array:
        """Return H B for csr `histories` H of ones."""
        scores = self._from_users((histories @ self.positives.T) @ self.inverse)
        scores *= self.scales
        rows, items = histories.nonzero()
        scores[rows, items] += 1.0 - self.scales[items]
        return scores

    def __getitem__(self, items: IdxArray) -> Float32Array:
        """Return the rows of B of `items`."""
        from scipy.sparse import eye_array

        one_each = eye_array(len(self.scales), dtype=np.float32, format="csr")[items]
        rows: Float32Array = one_each @ self
        rows[np.arange(len(items)), items] = 0.0
        return rows

    def _from_users(self, shares: Float32Array) -> Float32Array:
        """`shares` X, in C order."""
        return np.ascontiguousarray((self.positives.T @ shares.T).T)


def _by_users(train: Dataset) -> bool:
    return train.n_users < train.n_items


def _weights(panels: list[FloatArray]) -> Float32Array:
    """B from the inverse between items, which is used up."""
    scales = -1 / _above_0(diagonal(panels))
    weights = whole(panels)
    weights *= scales.astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def _above_0(diagonal: FloatArray) -> FloatArray:
    """Return `diagonal`, that of a positive definite matrix unless its inverse went wrong."""
    if not (diagonal > 0).all():
        raise np.linalg.LinAlgError("not positive definite")
    return diagonal
