"""Surprise's models whose predicted rating is a product of factors, biases among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from recexp.algorithms.base import check_needs, require
from recexp.algorithms.guards import blocks, require_finite
from recexp.algorithms.surprise.trainset import (
    RATINGS,
    Trained,
    rating_counts,
    spread,
    train_with_surprise,
)
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
        return {name: getattr(self, f"{name}_") for name in _STATE}

    def restore(self, state: Mapping[str, Any]) -> Self:
        for name in _STATE:
            setattr(self, f"{name}_", state[name])
        return self


_STATE = ("user_factors", "item_factors", "predictable_users", "predictable_items")


@dataclass(eq=False)
class SVD(FactoredRatings):
    """Matrix factorization with biases by stochastic gradient descent: mu + b_u + b_i + p_u . q_i.

    Funk 2006; Koren, Bell, Volinsky, IEEE Computer 2009. Trained by Surprise. An unknown user or
    item contributes nothing: a cold user gets mu + b_i. Without biases (`biased=False`:
    probabilistic matrix factorization, Salakhutdinov and Mnih 2008) such a pair is not predicted.

    Attributes:
        n_factors: length of p_u and q_i, >= 1.
        epochs: passes over the ratings, >= 1.
        learning_rate: step size, > 0.
        regularization: L2 penalty on biases and factors, >= 0.
        biased: whether there are biases.
        init_std: standard deviation of the initial factors, >= 0.
        seed: of the initial factors.
    """

    n_factors: int = 100
    epochs: int = 20
    learning_rate: float = 0.005
    regularization: float = 0.02
    biased: bool = True
    init_std: float = 0.1
    seed: int = 42

    def __post_init__(self) -> None:
        _require_descent(self)
        require(self.init_std >= 0, self, "init_std", "a number >= 0")

    def _untrained(self) -> Any:
        import surprise

        return surprise.SVD(
            n_factors=self.n_factors,
            n_epochs=self.epochs,
            biased=self.biased,
            init_std_dev=self.init_std,
            lr_all=self.learning_rate,
            reg_all=self.regularization,
            random_state=self.seed,
        )

    def _learn(self, trained: Trained, train: Dataset) -> None:
        take = self._set_biased if self.biased else self._set_unbiased
        take(trained, train, trained.model.pu, trained.model.qi)


@dataclass(eq=False)
class SVDpp(FactoredRatings):
    """SVD++: SVD whose user factors add sum(y_j) / sqrt(|I_u|) over the items j the user rated.

    Koren, KDD 2008. Trained by Surprise. An unknown user or item contributes nothing.

    Attributes:
        n_factors: length of the factors, >= 1.
        epochs: passes over the ratings, >= 1.
        learning_rate: step size, > 0.
        regularization: L2 penalty, >= 0.
        init_std: standard deviation of the initial factors, >= 0.
        seed: of the initial factors.
    """

    n_factors: int = 20
    epochs: int = 20
    learning_rate: float = 0.007
    regularization: float = 0.02
    init_std: float = 0.1
    seed: int = 42

    def __post_init__(self) -> None:
        _require_descent(self)
        require(self.init_std >= 0, self, "init_std", "a number >= 0")

    def _untrained(self) -> Any:
        import surprise

        return surprise.SVDpp(
            n_factors=self.n_factors,
            n_epochs=self.epochs,
            init_std_dev=self.init_std,
            lr_all=self.learning_rate,
            reg_all=self.regularization,
            random_state=self.seed,
            cache_ratings=True,  # faster; without it the library leaks memory at every fit
        )

    def _learn(self, trained: Trained, train: Dataset) -> None:
        model = trained.model
        counts = rating_counts(train)[trained.users][:, trained.items]
        implicit = (counts @ model.yj) / np.sqrt(counts.sum(axis=1))[:, None]
        self._set_biased(trained, train, model.pu + implicit, model.qi)


@dataclass(eq=False)
class NMF(FactoredRatings):
    """Non-negative matrix factorization p_u . q_i by multiplicative updates.

    Luo, Zhou, Xia, Zhu, IEEE TII 2014. Trained by Surprise. A pair with an unknown user or item
    is not predicted; with biases it is, as in SVD.

    Attributes:
        n_factors: length of the factors, >= 1.
        epochs: passes over the ratings, >= 1.
        regularization: penalty on the factors, >= 0.
        biased: whether to add biases, learned by gradient descent (prone to overfitting).
        learning_rate: step size of the biases, > 0; only used with biases.
        bias_regularization: L2 penalty on the biases, >= 0; only used with biases.
        seed: of the initial factors.
    """

    n_factors: int = 15
    epochs: int = 50
    regularization: float = 0.06
    biased: bool = False
    learning_rate: float = 0.005
    bias_regularization: float = 0.02
    seed: int = 42

    def __post_init__(self) -> None:
        _require_descent(self)
        require(self.bias_regularization >= 0, self, "bias_regularization", "a number >= 0")

    def _untrained(self) -> Any:
        import surprise

        return surprise.NMF(
            n_factors=self.n_factors,
            n_epochs=self.epochs,
            biased=self.biased,
            reg_pu=self.regularization,
            reg_qi=self.regularization,
            reg_bu=self.bias_regularization,
            reg_bi=self.bias_regularization,
            lr_bu=self.learning_rate,
            lr_bi=self.learning_rate,
            random_state=self.seed,
        )

    def _learn(self, trained: Trained, train: Dataset) -> None:
        take = self._set_biased if self.biased else self._set_unbiased
        take(trained, train, trained.model.pu, trained.model.qi)


def _require_descent(model: SVD | SVDpp | NMF) -> None:
    require(model.n_factors >= 1, model, "n_factors", "a whole number >= 1")
    require(model.epochs >= 1, model, "epochs", "a whole number >= 1")
    require(model.learning_rate > 0, model, "learning_rate", "a number > 0")
    require(model.regularization >= 0, model, "regularization", "a number >= 0")
