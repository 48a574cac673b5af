"""What Surprise's models share whose predicted rating is a product of factors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from recexp.algorithms.base import check_needs
from recexp.algorithms.cosine import cosines
from recexp.algorithms.guards import blocks, require_finite
from recexp.algorithms.surprise.trainset import RATINGS, Trained, spread, train_with_surprise
from recexp.arrays import BoolArray, Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset


class FactoredRatings:
    """Predicted ratings `user_factors_[u] . item_factors_[i]`, float64, with biases as columns.

    `predictable_users_` and `predictable_items_` mark those whose pairs the method can predict;
    another pair scores the mean rating, as in Surprise, and its predicted rating is NaN.
    """

    user_factors_: FloatArray
    item_factors_: FloatArray
    predictable_users_: BoolArray
    predictable_items_: BoolArray

    needs: ClassVar[frozenset[str]] = RATINGS
    whole_ratings: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = (
        *("user_factors", "item_factors"),
        *("predictable_users", "predictable_items"),
    )

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        trained = train_with_surprise(self._untrained(), train, self.whole_ratings)
        self._learn(trained, train)
        require_finite(self, self.user_factors_, self.item_factors_)
        return self

    def _untrained(self) -> Any:
        """The algorithm of Surprise with these hyperparameters."""
        raise NotImplementedError

    def _learn(self, trained: Trained, train: Dataset) -> None:
        raise NotImplementedError

    def _set_biased(
        self, trained: Trained, train: Dataset, users: FloatArray, items: FloatArray
    ) -> None:
        """Take `mean + bu + bi + users . items`; what is unknown contributes nothing."""
        bu = spread(trained.model.bu, trained.users, train.n_users)
        bi = spread(trained.model.bi, trained.items, train.n_items)
        p = spread(users, trained.users, train.n_users)
        q = spread(items, trained.items, train.n_items)
        self.user_factors_ = np.column_stack([p, trained.mean + bu, np.ones(len(p))])
        self.item_factors_ = np.column_stack([q, np.ones(len(q)), bi])
        self.predictable_users_ = np.ones(len(p), bool)
        self.predictable_items_ = np.ones(len(q), bool)

    def _set_unbiased(
        self, trained: Trained, train: Dataset, users: FloatArray, items: FloatArray
    ) -> None:
        """Take `users . items` between known users and items, else the mean rating."""
        p = spread(users, trained.users, train.n_users)
        q = spread(items, trained.items, train.n_items)
        known_p = spread(np.ones(len(users)), trained.users, len(p))
        known_q = spread(np.ones(len(items)), trained.items, len(q))
        self.user_factors_ = np.column_stack([p, trained.mean * (1 - known_p), known_p])
        self.item_factors_ = np.column_stack([q, np.ones(len(q)), trained.mean * (1 - known_q)])
        self.predictable_users_ = known_p > 0
        self.predictable_items_ = known_q > 0

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self._factors32

    @cached_property
    def _factors32(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors_.astype(np.float32), self.item_factors_.astype(np.float32)

    def score(self, users: IdxArray) -> Float32Array:
        return (self.user_factors_[users] @ self.item_factors_.T).astype(np.float32)

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        predicted = np.full(len(users), np.nan)
        for rows in blocks(len(users), self.user_factors_.shape[1]):
            predicted[rows] = np.einsum(
                "pd,pd->p", self.user_factors_[users[rows]], self.item_factors_[items[rows]]
            )
        predicted[~(self.predictable_users_[users] & self.predictable_items_[items])] = np.nan
        return predicted

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, f"{name}_") for name in self.learned}

    def restore(self, state: Mapping[str, Any]) -> Self:
        for name in self.learned:
            setattr(self, f"{name}_", state[name])
        return self


class LearnedFactors(FactoredRatings):
    """Factored ratings with more than biases in the factors, whose last two columns those are."""

    def similarities(self, items: IdxArray) -> Float32Array:
        return cosines(self.item_factors_[:, :-2], items)
