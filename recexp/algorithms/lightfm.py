"""LightFM: matrix factorization over identities and side features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs, require
from recexp.algorithms.cosine import cosines
from recexp.algorithms.guards import require_room
from recexp.algorithms.lightfm_training import (
    PARAMETERS,
    Training,
    grow,
    library_model,
    parameters,
    take_up,
)
from recexp.algorithms.population import Population
from recexp.algorithms.positives import LearnsFromPositives, grown
from recexp.algorithms.side_features import Side
from recexp.arrays import BoolArray, Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import DataError
from recexp.progress import progress
from recexp.rng import derive


@dataclass(eq=False)
class LightFM(LearnsFromPositives):
    """Factorization of the positives in which users and items are the sums of their features.

    Kula, CBRecSys 2015: score = b_u + b_i + e_u . e_i, where b and e of a user (or an item) are the
    sums of the biases and embeddings of his features: his identity, and the side features that
    the dataset has. A user without positives, or an item without training interactions, has no
    identity to learn: the mean of the learned ones stands for it beside the side features, and
    such an item is not taken for a negative example.

    A history given later, of a user without side features, is scored by the vector that
    `Population` finds for it. `partial_fit` lets the library train for `epochs` more on the new
    interactions, with its step sizes as they have become; new users and items get identities, and
    the earlier positives of these users are no negatives.

    Attributes:
        loss: `warp` (Weston, Bengio, Usunier, IJCAI 2011) and `warp-kos` (Weston, Yee, Weiss,
            RecSys 2013) aim at the top of the list, `bpr` (Rendle et al., UAI 2009) at the order
            of pairs; `logistic` tells positives from ratings below the threshold.
        n_factors: length of the embeddings, >= 1.
        epochs: passes over the positives, >= 1.
        learning_rate: initial step size, > 0.
        learning_schedule: `adagrad` or `adadelta`.
        item_regularization, user_regularization: L2 penalties on the features' parameters, >= 0.
        max_sampled: most negatives tried for a positive by `warp` and `warp-kos`, >= 1.
        kos_k, kos_n: `warp-kos` learns from the k-th best of n positives, 1 <= k <= n.
        item_features, user_features: whether to use the dataset's side features, if it has any.
        normalize_features: whether to scale the features of each user and item to sum to 1.
        weight_by_rating: whether a positive weighs in proportion to its rating; not `warp-kos`.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: with more than 1, no two fits are alike (`deterministic` is false).
        seed: of the initial embeddings and of sampling.
    """

    loss: Literal["warp", "bpr", "logistic", "warp-kos"] = "warp"
    n_factors: int = 32
    epochs: int = 20
    learning_rate: float = 0.05
    learning_schedule: Literal["adagrad", "adadelta"] = "adagrad"
    item_regularization: float = 0.0
    user_regularization: float = 0.0
    max_sampled: int = 10
    kos_k: int = 5
    kos_n: int = 10
    item_features: bool = True
    user_features: bool = True
    normalize_features: bool = False
    weight_by_rating: bool = False
    positive_threshold: float | None = None
    threads: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        losses, schedules = ("warp", "bpr", "logistic", "warp-kos"), ("adagrad", "adadelta")
        require(self.loss in losses, self, "loss", "one of " + ", ".join(losses))
        require(self.learning_schedule in schedules, self, "learning_schedule", "adagrad, adadelta")
        for name in ("n_factors", "epochs", "max_sampled", "kos_k", "threads"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.kos_n >= self.kos_k, self, "kos_n", f"at least kos_k ({self.kos_k})")
        require(self.learning_rate > 0, self, "learning_rate", "a number > 0")
        for name in ("item_regularization", "user_regularization"):
            require(getattr(self, name) >= 0, self, name, "a number >= 0")
        weighs = not self.weight_by_rating or self.loss != "warp-kos"
        require(weighs, self, "weight_by_rating", "false with loss=warp-kos")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"ratings"} if self.loss == "logistic" or self.weight_by_rating else ())

    @property
    def deterministic(self) -> bool:
        return self.threads == 1

    def fit(self, train: Dataset) -> Self:
        training = self._training(train)
        for _ in progress(range(self.epochs), "LightFM epochs"):
            training.epoch(self)
        self._take(training)
        return self

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        training = self._training(train)
        for epoch in range(self.epochs):
            training.epoch(self)
            self._take(training)
            yield epoch + 1

    def partial_fit(self, new: Dataset) -> Self:
        training = self._more_training(new)
        for _ in progress(range(self.epochs), "LightFM epochs"):
            training.epoch(self)
        self._take(training)
        return self

    def _training(self, train: Dataset) -> Training:
        """What `fit` trains on."""
        check_needs(self, train)
        known_users = np.diff(self._take_positives(train).indptr) > 0
        known_items = train.interactions.item_counts() > 0
        rows = self._examples(train, known_users)
        if self.loss == "logistic" and self._signs(rows.value).min() > 0:
            raise DataError(
                "LightFM with loss=logistic learns from ratings below the positive threshold "
                "too, and there are none: use loss=warp"
            )
        self.mean_value_ = float(rows.value.mean())
        self.n_updates_ = 0
        return Training.of(
            self._untrained(self.seed),
            *self._sides(train, known_users, known_items),
            (rows.user_idx, rows.item_idx),
            self._signs(rows.value),
            self._weights(rows.value),
        )

    def _more_training(self, new: Dataset) -> Training:
        """What `partial_fit` trains on: new examples, and no examples at the earlier positives."""
        check_needs(self, new)
        require_room(self, new, *self.histories_.shape)
        known_users = new.positives(self.positive_threshold).user_counts() > 0
        known_users[: len(self.known_users_)] |= self.known_users_
        known_items = new.interactions.item_counts() > 0
        known_items[: len(self.known_items_)] |= self.known_items_
        model = self._untrained(int(derive(self.seed, f"update {self.n_updates_}").integers(2**31)))
        take_up(model, self.parameters_)
        grow(model, "user", self.known_users_, known_users)
        grow(model, "item", self.known_items_, known_items)
        users, items = self._sides(new, known_users, known_items)
        for side, biases in ((users, model.user_biases), (items, model.item_biases)):
            if side.matrix.shape[1] != len(biases):
                raise DataError(
                    f"{new.name} has other side features than LightFM was trained with "
                    f"({side.matrix.shape[1]} columns with the identities, not {len(biases)}): "
                    "give the same feature columns, or fit anew"
                )
        before = grown(self.histories_, (new.n_users, new.n_items))
        added = self._add_positives(new)
        self.n_updates_ += 1
        rows = self._examples(new, known_users)
        signs, weights = self._signs(rows.value), self._weights(rows.value)
        user_idx, item_idx = rows.user_idx, rows.item_idx
        if self.loss != "logistic":
            again = added.users()
            past = before[again].tocoo()
            user_idx = np.append(user_idx, again[past.row])
            item_idx = np.append(item_idx, past.col)
            signs = np.append(signs, np.full(past.nnz, -1, np.float32))
            if weights is not None:
                weights = np.append(weights, np.ones(past.nnz, np.float32))
        return Training.of(model, users, items, (user_idx, item_idx), signs, weights)

    def _examples(self, data: Dataset, known_users: BoolArray) -> Interactions:
        """The interactions to learn from: the positives; logistic: all of users with a positive."""
        if self.loss != "logistic":
            return data.positives(self.positive_threshold)
        rows = data.interactions
        return rows.select(known_users[rows.user_idx])

    def _signs(self, values: Float32Array) -> Float32Array:
        positive = values >= (-np.inf if self.threshold_ is None else np.float32(self.threshold_))
        return np.where(positive, np.float32(1), np.float32(-1))

    def _weights(self, values: Float32Array) -> Float32Array | None:
        return values / np.float32(self.mean_value_) if self.weight_by_rating else None

    def _sides(self, data: Dataset, users: BoolArray, items: BoolArray) -> tuple[Side, Side]:
        of_users = data.user_features if self.user_features else None
        of_items = data.item_features if self.item_features else None
        return (
            Side.of(users, of_users, self.normalize_features),
            Side.of(items, of_items, self.normalize_features),
        )

    def _untrained(self, seed: int) -> Any:
        """The library's model with these hyperparameters."""
        return library_model(
            seed,
            loss=self.loss,
            no_components=self.n_factors,
            learning_rate=self.learning_rate,
            learning_schedule=self.learning_schedule,
            item_alpha=self.item_regularization,
            user_alpha=self.user_regularization,
            max_sampled=self.max_sampled,
            k=self.kos_k,
            n=self.kos_n,
        )

    def _take(self, training: Training) -> None:
        """Keep what scoring, folding in and going on with training need."""
        users, items = training.vectors()
        one_u, one_i = np.ones(len(users), np.float32), np.ones(len(items), np.float32)
        self.user_factors_: Float32Array = np.column_stack([users, one_u])
        self.item_factors_: Float32Array = np.column_stack([items[:, :-1], one_i, items[:, -1]])
        known, described = training.users.known, training.users.described
        self.sources_: NDArray[np.uint8] = np.where(
            known, Source.MODEL, np.where(described, Source.FEATURES, Source.FALLBACK)
        ).astype(np.uint8)
        self.known_users_, self.known_items_ = known, training.items.known
        self.parameters_ = parameters(training.model)
        vectors = users[:, :-1], items[:, :-1]
        self.population_ = Population.of(*vectors, self.histories_, known)

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors_, self.item_factors_

    def score(self, users: IdxArray) -> Float32Array:
        return self.user_factors_[users] @ self.item_factors_.T

    def score_histories(self, histories: Sparse) -> Float32Array:
        vectors = self.item_factors_[:, :-2]
        found = self.population_.vectors(self._positives_of(histories), vectors)
        return found.astype(np.float32) @ vectors.T + self.item_factors_[:, -1]

    def similarities(self, items: IdxArray) -> Float32Array:
        return cosines(self.item_factors_[:, :-2], items)

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return self.sources_[users]

    def state(self) -> dict[str, Any]:
        learned = {name: getattr(self, f"{name}_") for name in _STATE}
        return learned | self.population_.state() | self.parameters_

    def restore(self, state: Mapping[str, Any]) -> Self:
        for name in _STATE:
            setattr(self, f"{name}_", state[name])
        self.population_ = Population.restored(state)
        self.parameters_ = {name: state[name] for name in PARAMETERS if name in state}
        return self


_STATE = (
    *("histories", "threshold", "user_factors", "item_factors", "sources"),
    *("known_users", "known_items", "mean_value", "n_updates"),
)
