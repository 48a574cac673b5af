"""Factorizations of implicit feedback by the implicit library, and its least squares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.cosine import cosines
from recexp.algorithms.guards import require_finite
from recexp.algorithms.item_item import heaviest
from recexp.algorithms.least_squares import gram_of, left_side, penalized, solve
from recexp.algorithms.positives import LearnsFromPositives, grown
from recexp.arrays import Float32Array, FloatArray, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import DataError
from recexp.progress import progress


class ImplicitFactors(LearnsFromPositives):
    """Scores that are products of factors; users and items without positives have factors of 0.

    Learned besides: `user_factors_` and `item_factors_`, float32.
    """

    user_factors_: Float32Array
    item_factors_: Float32Array

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors_, self.item_factors_

    def score(self, users: IdxArray) -> Float32Array:
        return self.user_factors_[users] @ self.item_factors_.T

    def similarities(self, items: IdxArray) -> Float32Array:
        return cosines(self.item_factors_, items)

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
    the implicit library. Positives weigh `confidence`, other pairs 1.

    A row of factors (a user's or an item's) is penalized by lambda n_r^nu, n_r being the sum of
    its weights over all pairs (Rendle, Krichene, Zhang, Koren, RecSys 2022), and lambda chosen so
    that the rows' mean penalty is `regularization`, whatever nu. Their alpha_0 is
    1 / (confidence - 1), and with nu=1 their lambda
    is regularization (confidence - 1) / (confidence mean(n_r)); the minima then rank alike, their
    scores being of another scale.

    A history given later gets the x that solves its own least squares exactly. `partial_fit` does
    so for the users with new positives, then for their items, and again for the users, and leaves
    all others as they are; a user or item it has not seen comes in so. One without a positive has
    factors of 0.

    Attributes:
        n_factors: >= 1.
        epochs: rounds over users and items, >= 1.
        regularization: mean L2 penalty, > 0.
        frequency_exponent: nu, >= 0: 0 penalizes all alike, 1 in proportion to their weights.
        confidence: the mean weight of a positive, >= 1.
        weight_by_value: whether a positive weighs in proportion to its value (the sum of the
            values when the pair is repeated), instead of all the same.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: cores to use; None: all. They do not change the result.
        seed: of the initial factors.
    """

    n_factors: int = 64
    epochs: int = 15
    regularization: float = 50.0
    frequency_exponent: float = 0.0
    confidence: float = 10.0
    weight_by_value: bool = False
    positive_threshold: float | None = None
    threads: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("n_factors", "epochs"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.regularization > 0, self, "regularization", "a number > 0")
        require(self.frequency_exponent >= 0, self, "frequency_exponent", "a number >= 0")
        require(self.confidence >= 1, self, "confidence", "a number >= 1")
        threads = self.threads
        require(threads is None or threads >= 1, self, "threads", "a whole number >= 1, or null")

    def fit(self, train: Dataset) -> Self:
        for _ in progress(self.fit_epochs(train), "ALS epochs", self.epochs):
            pass
        return self

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        from threadpoolctl import ThreadpoolController

        self._take_values(train)
        by_user = self._weights(self.histories_)
        by_item = by_user.T.tocsr()
        self._set_penalties(by_user, by_item)
        model = self._initial()
        blas = ThreadpoolController()
        users, items, penalty = model.user_factors, model.item_factors, self.regularization
        all_users, all_items = users, items
        if self.frequency_exponent:
            by_user = penalized(by_user, self._penalties(by_user, "items"), self.n_factors)
            by_item = penalized(by_item, self._penalties(by_item, "users"), self.n_factors)
            units = np.eye(self.n_factors, dtype=np.float32)
            all_users, all_items = np.vstack([users, units]), np.vstack([items, units])
            users, items, penalty = all_users[: len(users)], all_items[: len(items)], 0.0
        self.user_factors_, self.item_factors_ = users, items
        for epoch in range(self.epochs):
            # BLAS threads beside the library's own are slow; the consumer's stay as they are.
            with blas.limit(limits=1, user_api="blas"):
                model.solver(by_user, users, all_items, penalty, num_threads=self.threads or 0)
                model.solver(by_item, items, all_users, penalty, num_threads=self.threads or 0)
            require_finite(self, users, items)
            self._forget()
            yield epoch + 1

    def _initial(self) -> Any:
        """The library's model before its first epoch."""
        import implicit.cpu.als  # loads a BLAS, which the limit below must find
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):  # the library warns of more
            model = implicit.cpu.als.AlternatingLeastSquares(
                factors=self.n_factors, iterations=0, random_state=self.seed
            )
            model.fit(csr_matrix(self.histories_), show_progress=False)
        return model

    def _take_values(self, train: Dataset) -> None:
        """Set `histories_`, of values with `weight_by_value`, and `mean_value_`."""
        histories = self._take_positives(train)
        if self.weight_by_value:
            histories = self.histories_ = train.positives(self.positive_threshold).csr("value")
            if histories.data.min() <= 0:
                raise DataError(
                    f"{train.name} has positives of value {histories.data.min():g}, and ALS with "
                    "weight_by_value=true needs values > 0: raise positive_threshold"
                )
        self.mean_value_ = float(histories.data.mean(dtype=np.float64))

    def _weights(self, histories: Sparse) -> Sparse:
        """What each positive weighs, csr."""
        weights = histories.copy()
        weights.data *= np.float32(self._weight)
        return weights

    @property
    def _weight(self) -> float:
        """What a value of 1 weighs."""
        return self.confidence / self.mean_value_

    def _set_penalties(self, by_user: Sparse, by_item: Sparse) -> None:
        """Set what `_penalties` goes by: lambda, and the numbers of trained users and items."""
        self.trained_ = {
            "users": int((np.diff(by_user.indptr) > 0).sum()),
            "items": int((np.diff(by_item.indptr) > 0).sum()),
        }
        self.lambda_ = 1.0
        both = self._penalties(by_user, "items"), self._penalties(by_item, "users")
        filled = np.diff(by_user.indptr) > 0, np.diff(by_item.indptr) > 0
        penalties = np.concatenate([one[rows] for one, rows in zip(both, filled, strict=True)])
        self.lambda_ = float(self.regularization / penalties.mean())

    def _penalties(self, weights: Sparse, others: Literal["users", "items"]) -> FloatArray:
        """lambda n_r^nu of each row of csr `weights`, float64."""
        extra = np.asarray(weights.sum(axis=1, dtype=np.float64)) - np.diff(weights.indptr)
        penalties: FloatArray = self._penalty(extra, others)
        return penalties

    def _penalty(self, extra: Any, others: Literal["users", "items"]) -> Any:
        """lambda n_r^nu of rows whose positives weigh `extra` more than other pairs."""
        return self.lambda_ * (self.trained_[others] + extra) ** self.frequency_exponent

    def partial_fit(self, new: Dataset) -> Self:
        before = self.histories_
        liked = self._add_positives(new)
        if self.weight_by_value:
            self.histories_ = grown(before, self.histories_.shape) + liked.csr("value")
        self.user_factors_ = _more_rows(self.user_factors_, new.n_users)
        self.item_factors_ = _more_rows(self.item_factors_, new.n_items)
        self._forget()
        if not len(liked):
            return self
        users, items = liked.users(), liked.items()
        by_user = self._weights(self.histories_[users])
        by_item = self._weights(self.histories_[:, items].T.tocsr())
        self.user_factors_[users] = self._solve_users(by_user)
        penalties = self._penalties(by_item, "users")
        self.item_factors_[items] = solve(by_item, self.user_factors_, penalties)
        self._forget()
        self.user_factors_[users] = self._solve_users(by_user)
        return self

    def _forget(self) -> None:
        """Forget what was worked out of item factors that have changed."""
        self._gram: FloatArray | None = None
        self._parts: tuple[int, Any, Any] | None = None
        """Of the user explained last: his items, and the part of each in his factors, (d, n)."""

    def _solve_users(self, weights: Sparse) -> FloatArray:
        penalties = self._penalties(weights, "items")
        return solve(weights, self.item_factors_, penalties, self._item_gram())

    def _item_gram(self) -> FloatArray:
        """Y'Y of the item factors, worked out once while they stay as they are."""
        if self._gram is None:
            self._gram = gram_of(self.item_factors_)
        return self._gram

    def score_histories(self, histories: Sparse) -> Float32Array:
        liked = self._positives_of(histories)
        if self.weight_by_value:
            liked = liked.multiply(histories).tocsr()
        solved = self._solve_users(self._weights(liked))
        return solved.astype(np.float32) @ self.item_factors_.T

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        if self._parts is None or self._parts[0] != user:
            own = slice(*self.histories_.indptr[user : user + 2])
            items = self.histories_.indices[own]
            y = self.item_factors_[items].astype(np.float64)
            c = self.histories_.data[own] * np.float64(self._weight)
            penalty = self._penalty(float(c.sum()) - len(c), "items")
            left = left_side(y, c, penalty, self._item_gram())
            self._parts = user, items, np.linalg.solve(left, (y * c[:, None]).T)
        _, history, of_history = self._parts
        return heaviest(history, self.item_factors_[item] @ of_history, n)

    def state(self) -> dict[str, Any]:
        own = {name: getattr(self, f"{name}_") for name in ("mean_value", "lambda", "trained")}
        return super().state() | own

    def restore(self, state: Mapping[str, Any]) -> Self:
        self._forget()
        self.mean_value_, self.lambda_ = state["mean_value"], state["lambda"]
        self.trained_ = state["trained"]
        return super().restore(state)


def _more_rows(factors: Float32Array, n: int) -> Float32Array:
    """A copy of `factors` with rows of 0 appended up to `n`."""
    grown = np.zeros((n, factors.shape[1]), np.float32)
    grown[: len(factors)] = factors
    return grown
