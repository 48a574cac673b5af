"""The mean ratings of what was learned from: what is predicted where a model cannot."""

from __future__ import annotations

import numpy as np

from recexp.arrays import IdxArray
from recexp.data.interactions import Interactions
from recexp.evaluation.ratings import Fallback


class Means:
    """The mean rating of each item, each user and all, of what was learned from so far."""

    def __init__(self, train: Interactions, fallback: Fallback) -> None:
        self._fallback = fallback
        self._users = _sums(train.user_idx, train)
        self._items = _sums(train.item_idx, train)
        self._all = [float(train.value.sum(dtype=np.float64)), len(train)]

    def add(self, user: int, item: int, value: float) -> None:
        for sums in (
            self._users.setdefault(user, [0.0, 0]),
            self._items.setdefault(item, [0.0, 0]),
            self._all,
        ):
            sums[0] += value
            sums[1] += 1

    def of(self, user: int, item: int) -> float:
        """Return the item's mean, the user's or that of all, whichever exists first."""
        known = self._items.get(item) or self._users.get(user)
        total, n = (known if self._fallback == "means" else None) or self._all
        return total / n


def _sums(idx: IdxArray, train: Interactions) -> dict[int, list[float]]:
    """The sum and the number of the values of each idx that occurs."""
    totals, counts = np.bincount(idx, train.value), np.bincount(idx)
    return {at: [float(totals[at]), int(counts[at])] for at in np.flatnonzero(counts).tolist()}
