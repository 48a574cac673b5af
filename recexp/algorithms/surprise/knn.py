"""Surprise's nearest-neighbor models, over users or over items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from recexp.algorithms.base import check_needs, require
from recexp.algorithms.guards import require_memory
from recexp.algorithms.item_item import heaviest
from recexp.algorithms.surprise.neighborhoods import Neighborhoods
from recexp.algorithms.surprise.trainset import RATINGS, Trained, spread, train_with_surprise
from recexp.arrays import AnyArray, Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset

_MATRICES = {"msd": 3, "cosine": 5, "pearson": 7, "pearson_baseline": 5}
"""Dense float64 matrices that Surprise holds at once while it computes each similarity."""


@dataclass(eq=False)
class KNNBasic:
    """The mean rating of the nearest neighbors, weighted by similarity.

    x is the side that is compared (users, or items), y the other: of those x' that rated y (or
    were rated by y) the `n_neighbors` most similar to x count, those of them with a similarity
    <= 0 not at all. Herlocker, Konstan, Borchers, Riedl, SIGIR 1999; Sarwar et al., WWW 2001.
    Trained by Surprise. Where items are compared it also offers `SimilarItems` (negative
    similarities as 0) and `Explains`. Not predicted, and scored with the mean rating: pairs with an
    unknown user or item, or with fewer than `min_neighbors` neighbors.

    Attributes:
        n_neighbors: the most neighbors that count, >= 1.
        min_neighbors: the fewest neighbors with a positive similarity, >= 1.
        user_based: whether users are compared, or items.
        similarity: `msd` (1 / (1 + mean squared difference)), `cosine` and `pearson` over common
            ratings, or `pearson_baseline` (around the baseline estimates, shrunk).
        min_support: common ratings below which the similarity is 0, >= 1.
        shrinkage: of `pearson_baseline`: times (n - 1) / (n - 1 + shrinkage), >= 0.
    """

    n_neighbors: int = 40
    min_neighbors: int = 1
    user_based: bool = True
    similarity: Literal["msd", "cosine", "pearson", "pearson_baseline"] = "msd"
    min_support: int = 1
    shrinkage: float = 100.0

    needs: ClassVar[frozenset[str]] = RATINGS
    library_class: ClassVar[str] = "KNNBasic"
    without_neighbors: ClassVar[float] = np.nan
    """What the mean of no neighbors is: impossible here, no correction in the other models."""

    def __post_init__(self) -> None:
        for name in ("n_neighbors", "min_neighbors", "min_support"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.similarity in _MATRICES, self, "similarity", " or ".join(_MATRICES))
        require(self.shrinkage >= 0, self, "shrinkage", "a number >= 0")
        if not self.user_based:
            # On the object, not on the class: what has the methods has the capabilities.
            self.similarities = self._item_similarities
            self.explain = self._explain_by_items

    def check_memory(self, train: Dataset) -> None:
        rows = train.interactions
        compared, _ = self._sides(("users", rows.users()), ("items", rows.items()))
        require_memory(
            self,
            8.0 * (1 + _MATRICES[self.similarity]) * len(compared[1]) ** 2,
            f"the similarities between {len(compared[1]):,} {compared[0]}",
            f"compare the other side (algo.user_based={not self.user_based}) or use algo=svd",
        )

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        rows = train.interactions
        trained = train_with_surprise(self._untrained(), train)
        self.mean_ = trained.mean
        self._center(trained, train)
        x, y = self._sides(rows.user_idx, rows.item_idx)
        known, _ = self._sides(trained.users, trained.items)
        residuals = (rows.value - self.x_center_[x] - self.y_center_[y]) / self.x_scale_[x]
        n_y = len(self.y_center_)
        self.neighborhoods_ = Neighborhoods.build(trained.model.sim, known, x, y, residuals, n_y)
        return self

    def _untrained(self) -> Any:
        """The algorithm of Surprise with these hyperparameters."""
        import surprise

        similarity = {
            "name": self.similarity,
            "user_based": self.user_based,
            "min_support": self.min_support,
            "shrinkage": self.shrinkage,
        }
        return getattr(surprise, self.library_class)(
            k=self.n_neighbors,
            min_k=self.min_neighbors,
            sim_options=similarity,
            bsl_options=self._baseline_options(),
            verbose=False,
        )

    def _baseline_options(self) -> dict[str, Any]:
        return {}

    def _center(self, trained: Trained, train: Dataset) -> None:
        """Set what is subtracted from ratings, and what they are divided by; NaN where unknown."""
        users, items = self._sides(train.n_users, train.n_items)
        known_x, known_y = self._sides(trained.users, trained.items)
        self.x_center_ = spread(np.zeros(len(known_x)), known_x, users, fill=np.nan)
        self.y_center_ = spread(np.zeros(len(known_y)), known_y, items, fill=np.nan)
        self.x_scale_ = np.ones(users)

    def _sides(self, user_side: Any, item_side: Any) -> tuple[Any, Any]:
        """The two sides as (x, y)."""
        return (user_side, item_side) if self.user_based else (item_side, user_side)

    def _estimates(self, means: FloatArray, x: AnyArray, y: AnyArray) -> FloatArray:
        """The predicted ratings of (broadcast) x and y; NaN where impossible."""
        correction = np.where(np.isnan(means), self.without_neighbors, means)
        ratings: FloatArray = self.x_center_[x] + self.y_center_[y] + self.x_scale_[x] * correction
        return ratings

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        x, y = self._sides(users, items)
        means = self.neighborhoods_.pair_means(x, y, self.n_neighbors, self.min_neighbors)
        return self._estimates(means, x, y)

    def score(self, users: IdxArray) -> Float32Array:
        n_items = len(self._sides(self.x_center_, self.y_center_)[1])
        x, y = self._sides(users, np.arange(n_items, dtype=np.int32))
        means = self.neighborhoods_.means(x, y, self.n_neighbors, self.min_neighbors)
        ratings = self._estimates(means, x[:, None], y)
        scores = np.where(np.isnan(ratings), self.mean_, ratings).astype(np.float32)
        return scores if self.user_based else np.ascontiguousarray(scores.T)

    def _item_similarities(self, items: IdxArray) -> Float32Array:
        return self.neighborhoods_.similar(items, len(self.x_center_))

    def _explain_by_items(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        """The user's items that raised the predicted rating most, by how much each did."""
        limits = self.n_neighbors, self.min_neighbors
        items, added = self.neighborhoods_.parts(item, user, *limits)
        return heaviest(items, self.x_scale_[item] * added, n)

    def state(self) -> dict[str, Any]:
        learned = {name: getattr(self, f"{name}_") for name in _STATE}
        return learned | self.neighborhoods_.state()

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.mean_ = float(state["mean"])
        for name in _STATE[1:]:
            setattr(self, f"{name}_", state[name])
        self.neighborhoods_ = Neighborhoods.restored(state)
        return self


_STATE = ("mean", "x_center", "y_center", "x_scale")


@dataclass(eq=False)
class KNNMeans(KNNBasic):
    """x's mean rating plus the weighted mean of what its nearest neighbors differ from theirs.

    As `KNNBasic`, on ratings minus the mean of their x. Without enough neighbors, x's mean.
    """

    library_class: ClassVar[str] = "KNNWithMeans"
    without_neighbors: ClassVar[float] = 0.0

    def _center(self, trained: Trained, train: Dataset) -> None:
        super()._center(trained, train)
        known, _ = self._sides(trained.users, trained.items)
        self.x_center_[known] = trained.model.means


@dataclass(eq=False)
class KNNZScore(KNNMeans):
    """`KNNMeans` on ratings also divided by the standard deviation of their x."""

    library_class: ClassVar[str] = "KNNWithZScore"

    def _center(self, trained: Trained, train: Dataset) -> None:
        super()._center(trained, train)
        known, _ = self._sides(trained.users, trained.items)
        self.x_scale_[known] = trained.model.sigmas


@dataclass(eq=False)
class KNNBaseline(KNNBasic):
    """The baseline estimate plus the weighted mean of what x's nearest neighbors differ from it.

    Koren, TKDD 2010, section 2.2. As `KNNBasic`, on ratings minus mu + b_u + b_i (see `Baseline`).
    An unknown user or item contributes nothing; without enough neighbors, the baseline.

    Attributes:
        baseline_epochs: rounds of alternating least squares for the baselines, >= 1.
        user_regularization, item_regularization: their ridge penalties, >= 0.
    """

    baseline_epochs: int = 10
    user_regularization: float = 15.0
    item_regularization: float = 10.0

    library_class: ClassVar[str] = "KNNBaseline"
    without_neighbors: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.baseline_epochs >= 1, self, "baseline_epochs", "a whole number >= 1")
        for name in ("user_regularization", "item_regularization"):
            require(getattr(self, name) >= 0, self, name, "a number >= 0")

    def _baseline_options(self) -> dict[str, Any]:
        return {
            "method": "als",
            "n_epochs": self.baseline_epochs,
            "reg_u": self.user_regularization,
            "reg_i": self.item_regularization,
        }

    def _center(self, trained: Trained, train: Dataset) -> None:
        bu = spread(trained.model.bu, trained.users, train.n_users)
        bi = spread(trained.model.bi, trained.items, train.n_items)
        bx, self.y_center_ = self._sides(bu, bi)
        self.x_center_ = trained.mean + bx
        self.x_scale_ = np.ones(len(bx))
