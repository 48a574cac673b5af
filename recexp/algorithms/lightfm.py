"""LightFM: matrix factorization over identities and side features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs, require
from recexp.algorithms.guards import require_finite
from recexp.arrays import BoolArray, Float32Array, IdxArray, IntArray, Sparse
from recexp.data.dataset import Dataset, Features
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError
from recexp.progress import progress


@dataclass(eq=False)
class LightFM:
    """Factorization of the positives in which users and items are the sums of their features.

    Kula, CBRecSys 2015: score = b_u + b_i + e_u . e_i, where b and e of a user (or an item) are the
    sums of the biases and embeddings of his features: his identity, and the side features that
    the dataset has. A user without positives, or an item without training interactions, has no
    identity to learn: the mean of the learned ones stands for it beside the side features, and
    such an item is not taken for a negative example.

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
        threads: with more than 1, no two fits are alike.
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

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        positives = train.positives(self.positive_threshold)
        if not len(positives):
            raise DataError(
                f"{train.name} has no positive training interaction, and LightFM learns from "
                "nothing else: lower positive_threshold"
            )
        user_features = train.user_features if self.user_features else None
        item_features = train.item_features if self.item_features else None
        users = self._side(positives.user_counts() > 0, user_features)
        items = self._side(train.interactions.item_counts() > 0, item_features)
        model = self._trained(positives, train.interactions, users, items)
        user_rows = users.represent(model.user_embeddings, model.user_biases)
        item_rows = items.represent(model.item_embeddings, model.item_biases)
        one_u, one_i = np.ones(train.n_users, np.float32), np.ones(train.n_items, np.float32)
        self.user_factors_: Float32Array = np.column_stack([user_rows, one_u])
        self.item_factors_: Float32Array = np.column_stack(
            [item_rows[:, :-1], one_i, item_rows[:, -1]]
        )
        self.sources_: NDArray[np.uint8] = np.where(
            users.known, Source.MODEL, np.where(users.described, Source.FEATURES, Source.FALLBACK)
        ).astype(np.uint8)
        return self

    def _trained(
        self, positives: Interactions, seen: Interactions, users: _Side, items: _Side
    ) -> Any:
        """The library's model, fitted on the known users and items."""
        from scipy.sparse import coo_matrix

        logistic = self.loss == "logistic"
        rows = seen.select(users.known[seen.user_idx]) if logistic else positives
        sign = np.where(rows.value >= positives.value.min(), np.float32(1), np.float32(-1))
        if logistic and sign.min() > 0:
            raise DataError(
                "LightFM with loss=logistic learns from ratings below the positive threshold "
                "too, and there are none: use loss=warp"
            )
        # One pair of index arrays: the library matches weights and interactions by their place.
        at = (users.places[rows.user_idx], items.places[rows.item_idx])
        user_features, item_features = users.training_rows(), items.training_rows()
        shape = (user_features.shape[0], item_features.shape[0])
        interactions = coo_matrix((sign, at), shape=shape)
        weights = None
        if self.weight_by_rating:
            weights = coo_matrix((rows.value / rows.value.mean(), at), shape=shape)
        model = self._untrained()
        for _ in progress(range(self.epochs), "lightfm epochs"):
            try:
                with np.errstate(all="ignore"):  # divergence is reported below
                    model.fit_partial(
                        interactions,
                        user_features=user_features,
                        item_features=item_features,
                        sample_weight=weights,
                        num_threads=self.threads,
                    )
            except ValueError:
                require_finite(self, model.user_embeddings, model.item_embeddings)
                require_finite(self, model.user_biases, model.item_biases)
                raise
        return model

    def _untrained(self) -> Any:
        """The library's model with these hyperparameters."""
        try:
            from lightfm import LightFM as Library
        except ImportError as error:
            raise ConfigError(
                f"algo=lightfm needs the package lightfm-next, which does not load here ({error}): "
                "install it (not on Windows; a C compiler is needed), or use algo=bpr or algo=als"
            ) from None
        return Library(
            loss=self.loss,
            no_components=self.n_factors,
            learning_rate=self.learning_rate,
            learning_schedule=self.learning_schedule,
            item_alpha=self.item_regularization,
            user_alpha=self.user_regularization,
            max_sampled=self.max_sampled,
            k=self.kos_k,
            n=self.kos_n,
            random_state=self.seed,
        )

    def _side(self, known: BoolArray, features: Features | None) -> _Side:
        return _Side.of(known, features, self.normalize_features)

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors_, self.item_factors_

    def score(self, users: IdxArray) -> Float32Array:
        return self.user_factors_[users] @ self.item_factors_.T

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return self.sources_[users]

    def state(self) -> dict[str, Any]:
        return {
            "user_factors": self.user_factors_,
            "item_factors": self.item_factors_,
            "sources": self.sources_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.user_factors_ = state["user_factors"]
        self.item_factors_ = state["item_factors"]
        self.sources_ = state["sources"]
        return self


@dataclass(frozen=True, eq=False)
class _Side:
    """The users, or the items, as LightFM sees them: identities of the known, then side features.

    Attributes:
        known: which have an identity.
        described: which have side features.
        matrix: csr (n, n_known + n_features); the unknown have only their side features.
        weight: (n, 1) what an identity weighs in its row.
    """

    known: BoolArray
    described: BoolArray
    matrix: Sparse
    weight: Float32Array

    @classmethod
    def of(cls, known: BoolArray, features: Features | None, normalize: bool) -> _Side:
        from scipy.sparse import csr_array, diags_array, hstack

        n = len(known)
        identity = csr_array(
            (np.ones(known.sum(), np.float32), (np.flatnonzero(known), np.arange(known.sum()))),
            shape=(n, known.sum()),
        )
        side = csr_array((n, 0), dtype=np.float32) if features is None else features.matrix
        total = np.asarray(abs(side).sum(axis=1), np.float32)
        weight = np.ones(n, np.float32)
        if normalize:
            weight /= 1 + total
        matrix = diags_array(weight) @ hstack([identity, side], format="csr")
        return cls(known, total > 0, csr_array(matrix, dtype=np.float32), weight[:, None])

    def training_rows(self) -> Sparse:
        """Return the rows of the known, in the types that the library insists on."""
        from scipy.sparse import csr_matrix

        rows = self.matrix[np.flatnonzero(self.known)]
        parts = (rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32))
        return csr_matrix(parts, shape=rows.shape)

    @property
    def places(self) -> IntArray:
        """The row of each of the known in `training_rows`, int32."""
        return (np.cumsum(self.known) - 1).astype(np.int32)

    def represent(self, embeddings: Float32Array, biases: Float32Array) -> Float32Array:
        """Return the embedding, then the bias, of each: float32 (n, d + 1)."""
        parameters = np.column_stack([embeddings, biases])
        rows = np.asarray(self.matrix @ parameters, np.float32)
        mean_identity = parameters[: self.known.sum()].mean(axis=0)
        rows[~self.known] += self.weight[~self.known] * mean_identity
        return rows
