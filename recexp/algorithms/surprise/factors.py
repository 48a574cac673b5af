"""Surprise's matrix factorizations of ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.surprise.factored import LearnedFactors
from recexp.algorithms.surprise.fold_in import FoldedByDescent
from recexp.algorithms.surprise.trainset import Trained, rating_counts, spread
from recexp.arrays import Float32Array, Sparse
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class SVD(FoldedByDescent):
    """Matrix factorization with biases by stochastic gradient descent: mu + b_u + b_i + p_u . q_i.

    Funk 2006; Koren, Bell, Volinsky, IEEE Computer 2009. Trained by Surprise. An unknown user or
    item contributes nothing: a cold user gets mu + b_i. Without biases (`biased=False`:
    probabilistic matrix factorization, Salakhutdinov and Mnih 2008) such a pair is not predicted.
    A user with a history given later gets the b_u and p_u that the same descent learns from it
    while b_i and q_i stay (see `descend`).

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
        self.mean_ = trained.mean

    def score_histories(self, histories: Sparse) -> Float32Array:
        ratings = histories.astype(np.float64)
        if self.biased:
            return self._folded_biased(ratings)
        p = self._descend(ratings, self.item_factors_[:, :-2])
        known = np.diff(ratings.indptr) > 0
        users = np.column_stack([p, self.mean_ * ~known, known])
        return (users @ self.item_factors_.T).astype(np.float32)


@dataclass(eq=False)
class SVDpp(FoldedByDescent):
    """SVD++: SVD whose user factors add sum(y_j) / sqrt(|I_u|) over the items j the user rated.

    Koren, KDD 2008. Trained by Surprise. An unknown user or item contributes nothing. A history
    given later has its sum of y_j, and the b_u and p_u that the same descent learns from it while
    the items stay (see `descend`).

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

    learned: ClassVar[tuple[str, ...]] = (*FoldedByDescent.learned, "implicit")

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
        self.implicit_ = spread(model.yj, trained.items, train.n_items)
        self.mean_ = trained.mean

    def score_histories(self, histories: Sparse) -> Float32Array:
        ratings = histories.astype(np.float64)
        rated = ratings.copy()
        rated.data[:] = 1.0
        n = np.maximum(np.diff(rated.indptr), 1)[:, None]
        return self._folded_biased(ratings, (rated @ self.implicit_) / np.sqrt(n))


@dataclass(eq=False)
class NMF(LearnedFactors):
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
