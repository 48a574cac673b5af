"""What is known of the items before the test: who took them in training, what they are like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recexp.arrays import BoolArray, FloatArray, IntArray, Sparse
from recexp.data.dataset import Features
from recexp.errors import ConfigError
from recexp.evaluation.arithmetic import percentile, ratio
from recexp.splits.base import Split


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items as the training part shows them; each property is computed when first asked for.

    Attributes:
        split: whose training part it is.
        candidates: bool (n_items,), the items that may be recommended.
        category_groups: the item features named `<group>=...` are the categories, of the first
            of these groups that there is.
    """

    split: Split
    candidates: BoolArray
    category_groups: tuple[str, ...] = ("genre", "genres", "category", "categories")

    @cached_property
    def n_train_users(self) -> int:
        """The number of users with a training interaction."""
        return int((self.split.train.interactions.user_counts() > 0).sum())

    @cached_property
    def item_users(self) -> IntArray:
        """The number of distinct training users of each item, int64 (n_items,)."""
        train = self.split.train.interactions
        pairs = train.user_idx * np.int64(train.n_items) + train.item_idx
        pairs.sort(kind="stable")  # linear when, as usual, they are in order
        first = np.ones(len(pairs), bool)
        first[1:] = pairs[1:] != pairs[:-1]
        return np.bincount(pairs[first] % train.n_items, minlength=train.n_items)

    @cached_property
    def popularity(self) -> FloatArray:
        """The share of training users who took each item, float64 (n_items,)."""
        if not self.n_train_users:
            raise ConfigError(
                "popularity, novelty and serendipity need training interactions: leave them out"
            )
        return self.item_users / self.n_train_users

    @cached_property
    def popularity_percentile(self) -> FloatArray:
        """The percentile of each item's popularity among all items, float64 (n_items,)."""
        return percentile(self.popularity)

    @cached_property
    def seen(self) -> Sparse:
        """What each user had before the test: csr of ones (n_users, n_items)."""
        return self.split.seen()

    @cached_property
    def vectors(self) -> Sparse:
        """The items' feature vectors at unit length, csr (n_items, n_features); zero if unknown."""
        matrix = self._features("diversity").matrix.astype(np.float64)
        length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        return _scale_rows(matrix, length)

    @cached_property
    def categories(self) -> Sparse:
        """p(g|i): each item's category distribution, csr (n_items, n_categories); zero if none."""
        features = self._features("calibration")
        groups = [name.partition("=")[0] for name in features.names]
        chosen = next((group for group in self.category_groups if group in groups), None)
        if chosen is None:
            raise ConfigError(
                f"calibration needs item features named '{self.category_groups[0]}=...'; "
                f"{self.split.train.name} has none: leave the metric out"
            )
        columns = [at for at, group in enumerate(groups) if group == chosen]
        matrix = (features.matrix[:, columns] != 0).astype(np.float64)
        return _scale_rows(matrix, np.asarray(matrix.sum(axis=1)).ravel())

    def _features(self, metric: str) -> Features:
        features = self.split.train.item_features
        if features is None:
            raise ConfigError(
                f"{metric} needs item features; {self.split.train.name} has none: "
                "leave the metric out"
            )
        return features


def _scale_rows(matrix: Sparse, divisor: FloatArray) -> Sparse:
    from scipy.sparse import diags_array

    return (diags_array(ratio(1.0, divisor, 0.0)) @ matrix).tocsr()
