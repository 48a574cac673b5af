"""What models share that score an item by its weights from the items of a history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from recexp.algorithms.positives import LearnsFromPositives
from recexp.arrays import AnyArray, Float32Array, IdxArray, Sparse


class ItemToItem(LearnsFromPositives):
    """Scores `histories @ weights`: the sum of an item's weights from the items of a history.

    Learned besides: `weights_`, float32 (n_items, n_items), dense or csr; row j has what item j
    says for every other. Any history can be scored so, also of a user not trained on. An item
    without training positives scores 0.
    """

    weights_: Any

    def score(self, users: IdxArray) -> Float32Array:
        return _dense(self.histories_[users] @ self.weights_)

    def score_histories(self, histories: Sparse) -> Float32Array:
        return _dense(self._positives_of(histories) @ self.weights_)

    def similarities(self, items: IdxArray) -> Float32Array:
        return _dense(self.weights_[items])

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        history = self.histories_[[user]].indices
        weights = _dense(self.weights_[history][:, [item]]).ravel()
        return heaviest(history, weights, n)

    def state(self) -> dict[str, Any]:
        return {
            "histories": self.histories_,
            "weights": self.weights_,
            "threshold": self.threshold_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.histories_ = state["histories"]
        self.weights_ = state["weights"]
        self.threshold_ = state["threshold"]
        return self


def heaviest(items: AnyArray, weights: AnyArray, n: int) -> list[tuple[str, float]]:
    """Return the n items of the largest positive weights as reasons `item:IDX`, heaviest first."""
    best = np.argsort(-weights, kind="stable")[:n]
    return [(f"item:{items[at]}", float(weights[at])) for at in best if weights[at] > 0]


def _dense(matrix: Any) -> Float32Array:
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.float32)
