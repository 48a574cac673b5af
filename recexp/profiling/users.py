"""What histories say of their users: taste, ratings, activity, mainstreamness, recency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IntArray, Sparse
from recexp.data.dataset import Dataset, Features
from recexp.data.extraction import extract, guess
from recexp.data.features import stack
from recexp.errors import DataError, did_you_mean
from recexp.evaluation.arithmetic import percentile, ratio
from recexp.profiling.dataset import SECONDS_PER_DAY, iso
from recexp.splits.base import Split

Trait = Literal["activity", "mean_value", "spread", "mainstreamness", "recency"]

PREFIX = "profile/"
"""Of the names of features made here, so that another split of the same users replaces them."""

THIRDS: dict[Trait, tuple[str, str]] = {
    "activity": ("light_users", "heavy_users"),
    "mean_value": ("critical_users", "generous_users"),
    "spread": ("uniform_users", "decided_users"),
    "mainstreamness": ("niche_users", "mainstream_users"),
    "recency": ("lapsed_users", "recent_users"),
}
"""The segments of the lower and the upper third by each trait."""


@dataclass(frozen=True, eq=False)
class UserProfiles:
    """The profiles of all users of a dataset, from its interactions alone.

    Attributes:
        n_interactions: int64 (n_users,).
        traits: float64 (n_users,) by name, NaN for users of whom they are not known: `activity`,
            the number of interactions; `mean_value` and `spread`, mean and standard deviation of
            their ratings (only with ratings); `mainstreamness`, the mean popularity percentile
            of their items among all items with interactions (0 to 1, 1: the most popular);
            `recency`, the negative number of days from the user's last interaction to the last of
            all (only with timestamps).
        taste: csr (n_users, n_categories), the share of each category in the user's interactions,
            each interaction divided among its item's categories; rows add to 1 or are zeros.
            None without categories.
        categories: their names; `category` the column they are from.
    """

    dataset: Dataset
    n_interactions: IntArray
    traits: dict[Trait, FloatArray]
    taste: Sparse | None
    categories: tuple[str, ...]
    category: str | None

    def place(self, trait: Trait) -> FloatArray:
        """Return the percentile of each user by a trait among those who have it; NaN for others."""
        values = self.traits[trait]
        known = ~np.isnan(values)
        places = np.full(len(values), np.nan)
        places[known] = percentile(values[known])
        return places

    def features(self, wanted: Sequence[str]) -> Features:
        """Return `profile/taste=CATEGORY` (shares) and `profile/TRAIT=low|middle|high` (thirds).

        What the data do not have is left out; users without a history have rows of zeros.
        """
        from scipy.sparse import csr_array

        n_users = len(self.n_interactions)
        parts = [Features(csr_array((n_users, 0), dtype=np.float32), ())]
        if "taste" in wanted and self.taste is not None:
            names = tuple(f"{PREFIX}taste={name}" for name in self.categories)
            parts.append(Features(self.taste.astype(np.float32), names))
        for trait in (one for one in self.traits if one in wanted):
            place = self.place(trait)
            thirds = [place < 1 / 3, (place >= 1 / 3) & (place <= 2 / 3), place > 2 / 3]
            names = tuple(f"{PREFIX}{trait}={third}" for third in ("low", "middle", "high"))
            parts.append(Features(csr_array(np.column_stack(thirds).astype(np.float32)), names))
        return stack(*parts)

    def segments(self, wanted: Sequence[Trait]) -> dict[str, BoolArray]:
        """Return the users in the lower and upper third by each trait, bool (n_users,).

        Those of equal traits are in the same segment. Names as in `THIRDS`.
        """
        found = {}
        for trait in (one for one in self.traits if one in wanted):
            low, high = THIRDS[trait]
            place = self.place(trait)
            found[low], found[high] = place < 1 / 3, place > 2 / 3
        return found

    def of(self, user: int, n: int = 5) -> dict[str, Any]:
        """Return the profile of one user as plain JSON values.

        Every trait with the share of users below it; the `n` strongest categories with share and
        mean value; the `n` last (without time: highest rated) interactions.
        """
        it = self.dataset.interactions
        rows = np.flatnonzero(it.user_idx == user)
        traits = {
            name: {"value": float(values[user]), "percentile": float(self.place(name)[user])}
            for name, values in self.traits.items()
            if not np.isnan(values[user])
        }
        order = it.value[rows] if it.timestamp is None else it.timestamp[rows]
        shown = rows[np.argsort(-order, kind="stable")[:n]]
        found: dict[str, Any] = {
            "user": self.dataset.users.ids[user],
            "n_interactions": int(self.n_interactions[user]),
            "traits": traits,
            "taste": self._taste_of(user, rows, n),
            "items": [self._interaction(row) for row in shown.tolist()],
        }
        if it.timestamp is not None and len(rows):
            found["first"], found["last"] = (iso(f(it.timestamp[rows])) for f in (np.min, np.max))
        columns = self.dataset.user_columns.items()
        found["columns"] = {name: texts[user] for name, texts in columns if texts[user]}
        return found

    def _taste_of(self, user: int, rows: IntArray, n: int) -> list[dict[str, Any]]:
        if self.taste is None or not len(rows):
            return []
        it = self.dataset.interactions
        of_items = category_shares(self.dataset, self.category or "")[0][it.item_idx[rows]]
        weight = np.asarray(of_items.sum(axis=0)).ravel()
        total = of_items.T @ it.value[rows]
        share = self.taste[[user]].toarray().ravel()
        best = [at for at in np.argsort(-share, kind="stable")[:n].tolist() if share[at] > 0]
        found = [{"category": self.categories[at], "share": float(share[at])} for at in best]
        if self.dataset.explicit:
            for at, one in zip(best, found, strict=True):
                one["mean_value"] = float(total[at] / weight[at])
        return found

    def _interaction(self, row: int) -> dict[str, Any]:
        data, it = self.dataset, self.dataset.interactions
        item = int(it.item_idx[row])
        found: dict[str, Any] = {"item": data.items.ids[item]}
        if "title" in data.item_columns:
            found["title"] = data.item_columns["title"][item]
        if data.explicit:
            found["value"] = float(it.value[row])
        if it.timestamp is not None:
            found["time"] = iso(it.timestamp[row])
        return found


def profile_users(dataset: Dataset, category: str | None = None) -> UserProfiles:
    """Return the profiles of all users of a dataset.

    `category` is the item column whose categories make the taste; None: the first that holds lists
    of categories, else categories. Raises DataError when there is no such column.
    """
    it = dataset.interactions
    counts = it.user_counts()
    some = counts > 0
    user, n_users = it.user_idx, it.n_users
    traits: dict[Trait, FloatArray] = {"activity": np.where(some, counts, np.nan)}
    if dataset.explicit:
        # Around the mean of all, so that the squares do not swallow the differences.
        value = it.value - it.value.mean(dtype=np.float64)
        mean = ratio(np.bincount(user, value, n_users), counts, np.nan)
        off = value - mean[user]
        traits["mean_value"] = mean + it.value.mean(dtype=np.float64)
        traits["spread"] = np.sqrt(ratio(np.bincount(user, off * off, n_users), counts, np.nan))
    item_counts = it.item_counts()
    popularity = np.zeros(it.n_items)
    popularity[item_counts > 0] = percentile(item_counts[item_counts > 0])
    mainstream = np.bincount(user, popularity[it.item_idx], n_users)
    traits["mainstreamness"] = ratio(mainstream, counts, np.nan)
    if it.timestamp is not None:
        last = np.full(n_users, np.iinfo(np.int64).min)
        np.maximum.at(last, user, it.timestamp)
        days = (last - it.timestamp.max(initial=0)) / SECONDS_PER_DAY
        traits["recency"] = np.where(some, days, np.nan)
    category = category_column(dataset) if category is None else category
    if category is None:
        return UserProfiles(dataset, counts, traits, None, (), None)
    shares, names = category_shares(dataset, category)
    sums = it.csr("ones") @ shares
    return UserProfiles(dataset, counts, traits, _rows_to_one(sums), names, category)


def describe_users(
    split: Split,
    category: str | None = None,
    features: Sequence[Literal["taste"] | Trait] = ("taste", *THIRDS),
    segments: Sequence[Trait] = ("mean_value", "mainstreamness", "recency"),
    keep: bool = True,
) -> Split:
    """Return the split with user features and segments of users from its training history.

    Nothing of the test enters. A user without training interactions gets no features and is in no
    segment; in training, a user's taste contains the item that is being learned.

    Args:
        category: see `profile_users`.
        features: which of them become features of the users (see `UserProfiles.features`).
        segments: by which traits the metrics are also reported (see `THIRDS`).
        keep: whether other features of the users stay beside these; such features made of another
            training history are always replaced.
    """
    train = split.train
    profiles = profile_users(train, category)
    kept = _without_profiles(train.user_features) if keep else None
    made = profiles.features(features)
    parts = [one for one in (kept, made) if one is not None and len(one.names)]
    found = profiles.segments(segments)
    return replace(
        split,
        train=replace(train, user_features=stack(*parts) if parts else None),
        user_segments={**split.user_segments, **found},
    )


def _without_profiles(features: Features | None) -> Features | None:
    if features is None:
        return None
    kept = [at for at, name in enumerate(features.names) if not name.startswith(PREFIX)]
    return Features(features.matrix[:, kept], tuple(features.names[at] for at in kept))


def category_column(dataset: Dataset) -> str | None:
    """Return the first item column that holds lists of categories, else categories, if any."""
    kinds = guess(dataset.item_columns)
    for kind in ("multi_hot", "one_hot"):
        for name in kinds:
            if kinds[name] == kind:
                return name
    return None


def category_shares(dataset: Dataset, category: str) -> tuple[Sparse, tuple[str, ...]]:
    """Return each item's categories, csr (n_items, n_categories), and their names.

    Rows add to 1, or are empty.
    """
    if category not in dataset.item_columns:
        near = did_you_mean(category, dataset.item_columns) or "; it says nothing of its items"
        raise DataError(
            f"{dataset.name} has no item column '{category}'{near}: set profiles.category"
        )
    found = extract(dataset, columns={category: "multi_hot"}).item_features
    assert found is not None
    names = tuple(name.partition("=")[2] for name in found.names)
    return _rows_to_one(found.matrix), names


def _rows_to_one(matrix: AnyArray) -> Sparse:
    from scipy.sparse import csr_array, diags_array

    inverse = ratio(1.0, np.asarray(matrix.sum(axis=1)).ravel(), 0.0)
    return csr_array(diags_array(inverse) @ matrix)
