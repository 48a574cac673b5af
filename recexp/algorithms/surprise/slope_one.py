"""Surprise's Slope One."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from recexp.algorithms.base import check_needs
from recexp.algorithms.guards import blocks, require_memory
from recexp.algorithms.surprise.trainset import RATINGS, rating_counts, spread, train_with_surprise
from recexp.arrays import Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class SlopeOne:
    """The user's mean plus the mean deviation of the item from the items the user rated.

    Lemire and Maclachlan, SDM 2005: mean_u + mean over j in R_i(u) of dev(i, j), where dev(i, j) is
    the mean of r_i - r_j over users who rated both and R_i(u) are the items of u with such users.
    Trained by Surprise. A pair with an unknown user or item is not predicted and scores the mean
    rating. The library cuts ratings to whole numbers: ratings with fractions are scaled up for it
    and the predictions down again. Two dense matrices of items x items are held in training, one
    afterwards.
    """

    needs: ClassVar[frozenset[str]] = RATINGS

    def check_memory(self, train: Dataset) -> None:
        n_items = len(train.interactions.items())
        require_memory(
            self,
            32.0 * n_items**2,
            f"the deviations between {n_items:,} items",
            "use algo=svd or algo=baseline, or fewer items (preprocess=k_core)",
        )

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        import surprise

        trained = train_with_surprise(surprise.SlopeOne(), train, whole_ratings=True)
        self.mean_ = trained.mean
        self.items_: IdxArray = trained.items
        user_means = trained.step * np.asarray(trained.model.user_mean)
        self.user_means_ = spread(user_means, trained.users, train.n_users, fill=np.nan)
        self.deviations_: FloatArray = trained.step * trained.model.dev
        self.deviations_[trained.model.freq == 0] = np.nan
        self.histories_ = rating_counts(train)
        return self

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        predicted = np.full(len(users), np.nan)
        position = np.full(self.histories_.shape[1], -1)
        position[self.items_] = np.arange(len(self.items_))
        width = int(self.histories_.count_nonzero(axis=1).max(initial=1))
        for rows in blocks(len(users), width):
            known = position[items[rows]] >= 0
            histories = self.histories_[users[rows]]
            pair = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
            deviation = self.deviations_[position[items[rows]][pair], position[histories.indices]]
            weight = histories.data * ~np.isnan(deviation)
            total = np.bincount(pair, weight * np.nan_to_num(deviation), len(known))
            count = np.bincount(pair, weight, len(known))
            mean = total / np.maximum(count, 1)
            predicted[rows] = np.where(known, self.user_means_[users[rows]] + mean, np.nan)
        return predicted

    def score(self, users: IdxArray) -> Float32Array:
        histories = self.histories_[users][:, self.items_]
        count = histories @ (~np.isnan(self.deviations_)).T.astype(np.float64)
        total = histories @ np.nan_to_num(self.deviations_).T
        scores = np.full((len(users), self.histories_.shape[1]), self.mean_, np.float32)
        known = ~np.isnan(self.user_means_[users])
        rated = self.user_means_[users][:, None] + total / np.maximum(count, 1)
        scores[np.ix_(known, self.items_)] = rated[known]
        return scores

    def state(self) -> dict[str, Any]:
        return {
            "mean": self.mean_,
            "items": self.items_,
            "user_means": self.user_means_,
            "deviations": self.deviations_,
            "histories": self.histories_,
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.mean_ = float(state["mean"])
        self.items_ = state["items"]
        self.user_means_ = state["user_means"]
        self.deviations_ = state["deviations"]
        self.histories_ = state["histories"]
        return self
