"""Factorizations of implicit feedback, trained by the implicit library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.guards import require_finite
from recexp.algorithms.item_item import heaviest
from recexp.algorithms.positives import LearnsFromPositives
from recexp.arrays import Float32Array, FloatArray, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.progress import progress


class ImplicitFactors(LearnsFromPositives):
    """Scores that are products of factors; users and items without positives have factors of 0.

    Learned besides: `user_factors_` and `item_factors_`, float32.
    """

    n_factors: int
    epochs: int

    user_factors_: Float32Array
    item_factors_: Float32Array

    def fit(self, train: Dataset) -> Self:
        import implicit.cpu.als  # noqa: F401  # loads a BLAS, which the limit below must find
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        positives = self._take_positives(train)
        # The library warns of BLAS threads beside its own.
        with threadpool_limits(1, user_api="blas"):
            model = self._untrained()
            epochs = iter(progress(range(self.epochs), f"{type(self).__name__} epochs"))
            rows = csr_matrix(positives)
            model.fit(rows, show_progress=False, callback=lambda *_: next(epochs, None))
        self.user_factors_, self.item_factors_ = model.user_factors, model.item_factors
        require_finite(self, self.user_factors_, self.item_factors_)
        self.user_factors_[np.diff(positives.indptr) == 0] = 0.0
        self.item_factors_[np.bincount(positives.indices, minlength=train.n_items) == 0] = 0.0
        return self

    def _untrained(self) -> Any:
        """The model of the library with these hyperparameters."""
        raise NotImplementedError

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors_, self.item_factors_

    def score(self, users: IdxArray) -> Float32Array:
        return self.user_factors_[users] @ self.item_factors_.T

    def similarities(self, items: IdxArray) -> Float32Array:
        lengths = np.linalg.norm(self.item_factors_, axis=1, keepdims=True)
        directions = self.item_factors_ / np.maximum(lengths, np.float32(1e-30))
        cosines: Float32Array = directions[items] @ directions.T
        return cosines

    def state(self) -> dict[str, Any]:
        return {
            "histories": self.histories_,
            "threshold": self.threshold_,
            "user_factors": self.user_factors_,
            "item_factors": self.item_factors_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.histories_ = state["histories"]
        self.threshold_ = state["threshold"]
        self.user_factors_ = state["user_factors"]
        self.item_factors_ = state["item_factors"]
        return self


@dataclass(eq=False)
class ALS(ImplicitFactors):
    """Weighted least squares x_u . y_i = 1 for positives, 0 for all other pairs, alternately.

    Hu, Koren, Volinsky, ICDM 2008; by conjugate gradients (Takacs, Pilaszy, Tikk, RecSys 2011) in
    the implicit library. Positives weigh `confidence`, other pairs 1. A history given later gets
    the x that solves its own least squares exactly.

    Attributes:
        n_factors: >= 1.
        epochs: rounds over users and items, >= 1.
        regularization: L2 penalty, > 0.
        confidence: the weight of a positive, >= 1.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all. They do not change the result.
        seed: of the initial factors.
    """

    n_factors: int = 64
    epochs: int = 15
    regularization: float = 50.0
    confidence: float = 10.0
    positive_threshold: float | None = None
    threads: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("n_factors", "epochs"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.regularization > 0, self, "regularization", "a number > 0")
        require(self.confidence >= 1, self, "confidence", "a number >= 1")
        threads = self.threads
        require(threads is None or threads >= 1, self, "threads", "a whole number >= 1, or null")

    def _untrained(self) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.n_factors,
            iterations=self.epochs,
            regularization=self.regularization,
            alpha=self.confidence,
            num_threads=self.threads or 0,
            random_state=self.seed,
        )

    def score_histories(self, histories: Sparse) -> Float32Array:
        solved = self._solve(self._positives_of(histories))
        return solved.astype(np.float32) @ self.item_factors_.T

    def _solve(self, histories: Sparse) -> FloatArray:
        """The x of each of the histories, float64 (n, n_factors)."""
        left = self._left_sides(histories)
        right = self.confidence * (histories @ self.item_factors_.astype(np.float64))
        return np.linalg.solve(left, right[..., None])[..., 0]

    def _left_sides(self, histories: Sparse) -> FloatArray:
        """Y'Y + lambda I + (c - 1) sum of y_i y_i' over each history, (n, d, d)."""
        y = self.item_factors_.astype(np.float64)
        d = y.shape[1]
        left = np.empty((histories.shape[0], d, d))
        for row in range(d):  # one row of all matrices at a time: y y' of all items is too large
            left[:, row] = (self.confidence - 1) * (histories @ (y * y[:, [row]]))
        return left + y.T @ y + self.regularization * np.eye(d)

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        history = self.histories_[[user]]
        y = self.item_factors_.astype(np.float64)
        reach = np.linalg.solve(self._left_sides(history)[0], y[item])
        return heaviest(history.indices, self.confidence * (y[history.indices] @ reach), n)


@dataclass(eq=False)
class BPR(ImplicitFactors):
    """Factors and item biases that rank positives above other items, by stochastic descent.

    Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009, in the implicit library: negatives are
    drawn by popularity.

    Attributes:
        n_factors: >= 1, besides the bias.
        epochs: as many samples as there are positives, each, >= 1.
        learning_rate: step size, > 0.
        regularization: L2 penalty, >= 0.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: with more than 1, no two fits are alike.
        seed: of the initial factors and the sampling.
    """

    n_factors: int = 64
    epochs: int = 50
    learning_rate: float = 0.01
    regularization: float = 0.01
    positive_threshold: float | None = None
    threads: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("n_factors", "epochs", "threads"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.learning_rate > 0, self, "learning_rate", "a number > 0")
        require(self.regularization >= 0, self, "regularization", "a number >= 0")

    def _untrained(self) -> Any:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        return BayesianPersonalizedRanking(
            factors=self.n_factors,
            iterations=self.epochs,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            num_threads=self.threads,
            random_state=self.seed,
        )
