"""Surprise's co-clustering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.surprise.factored import FactoredRatings
from recexp.algorithms.surprise.trainset import Trained, spread
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class CoClustering(FactoredRatings):
    """The mean of the pair's co-cluster, plus what user and item differ from their clusters' means.

    George and Merugu, ICDM 2005. Trained by Surprise. A pair with an unknown user or item gets the
    mean rating. The library cuts ratings to whole numbers: ratings with fractions are scaled up
    for it and the predictions down again.

    Attributes:
        n_user_clusters, n_item_clusters: >= 1.
        epochs: rounds of reassignment, >= 1.
        seed: of the initial clusters.
    """

    n_user_clusters: int = 3
    n_item_clusters: int = 3
    epochs: int = 20
    seed: int = 42

    whole_ratings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("n_user_clusters", "n_item_clusters", "epochs"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")

    def _untrained(self) -> Any:
        import surprise

        return surprise.CoClustering(
            n_cltr_u=self.n_user_clusters,
            n_cltr_i=self.n_item_clusters,
            n_epochs=self.epochs,
            random_state=self.seed,
        )

    def _learn(self, trained: Trained, train: Dataset) -> None:
        model, step, mean = trained.model, trained.step, trained.mean
        n_users, n_items = train.n_users, train.n_items
        user_offset = step * (model.user_mean - model.avg_cltr_u[model.cltr_u])
        item_offset = step * (model.item_mean - model.avg_cltr_i[model.cltr_i])
        cluster_means = step * model.avg_cocltr[model.cltr_u]
        membership = np.eye(self.n_item_clusters)[model.cltr_i]
        known_user = spread(np.ones(len(trained.users)), trained.users, n_users)
        known_item = spread(np.ones(len(trained.items)), trained.items, n_items)
        # The last two columns give the mean rating, and nothing else, to a pair with an unknown.
        self.user_factors_ = np.column_stack(
            [
                spread(cluster_means, trained.users, n_users),
                spread(user_offset, trained.users, n_users),
                known_user,
                mean * (1 - known_user),
            ]
        )
        self.item_factors_ = np.column_stack(
            [
                spread(membership, trained.items, n_items),
                known_item,
                spread(item_offset, trained.items, n_items, fill=mean),
                np.ones(n_items),
            ]
        )
        self.predictable_users_ = np.ones(n_users, bool)
        self.predictable_items_ = np.ones(n_items, bool)
