"""Data with a known answer: the smallest test that a recommender finds a taste."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recexp.arrays import BoolArray, Float32Array
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.rng import derive


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """A dataset whose right answer is known.

    Users and items are black or white; users like the items of their own color (ratings 4 and 5)
    and dislike the others (1 and 2). About a third of the pairs is missing, at random, and what is
    liked among them can be told. The last user and the last item have no interaction. Titles,
    genres and features tell the color. Without ratings there are only the liked pairs.
    """

    dataset: Dataset
    liked: BoolArray
    """(n_users, n_items): of one color"""

    @property
    def missing(self) -> BoolArray:
        """The pairs to be told apart: not in the data, of users and items that are."""
        rows = self.dataset.interactions
        missing = np.ones(self.liked.shape, bool)
        missing[rows.user_idx, rows.item_idx] = False
        missing[rows.user_counts() == 0] = False
        missing[:, rows.item_counts() == 0] = False
        return missing

    def solved(self, scores: Float32Array, pairs: BoolArray | None = None) -> float:
        """Return how often a missing pair that is liked scores above one that is not (ties: half).

        0.5 is chance; the mean over users. `pairs`, (n_users, n_items), leaves out others.
        """
        shares = []
        asked = self.missing if pairs is None else self.missing & pairs
        for row, missing, liked in zip(scores, asked, self.liked, strict=True):
            good, bad = row[missing & liked], row[missing & ~liked]
            if len(good) and len(bad):
                above = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
                shares.append(float(above))
        return float(np.mean(shares))


def checkerboard(
    n_users: int = 81, n_items: int = 61, *, ratings: bool = True, seed: int = 0
) -> Checkerboard:
    """Return a checkerboard with ratings on 1-5, or without ratings; the same for the same seed."""
    from scipy.sparse import csr_array

    rng = derive(seed, "checkerboard")
    user_color, item_color = np.arange(n_users) % 2, np.arange(n_items) % 2
    liked = user_color[:, None] == item_color
    there = rng.random(liked.shape) < 2 / 3
    there[-1, :] = there[:, -1] = False
    if not ratings:
        there &= liked
    user, item = np.nonzero(there)
    value = np.where(liked, 4, 1)[user, item] + rng.integers(2, size=len(user))
    dataset = Dataset.from_indices(
        "checkerboard",
        IdMap(range(n_users)),
        user,
        IdMap(range(n_items)),
        item,
        value.astype(np.float32) if ratings else None,
        rng.integers(0, 365, len(user)) * 86_400,
        scale=(1.0, 5.0) if ratings else None,
    )
    colors = np.array(["black", "white"])
    names = tuple(f"color={color}" for color in colors)
    described = replace(
        dataset,
        item_columns={
            "title": tuple(f"{colors[c]} item {i}" for i, c in enumerate(item_color)),
            "genres": tuple(colors[item_color].tolist()),
        },
        user_features=Features(csr_array(np.eye(2, dtype=np.float32)[user_color]), names),
        item_features=Features(csr_array(np.eye(2, dtype=np.float32)[item_color]), names),
    )
    return Checkerboard(described, liked)
