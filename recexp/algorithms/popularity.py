"""What most people chose: the baseline, and the answer for users nothing is known of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs, require
from recexp.algorithms.guards import require_room
from recexp.arrays import Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset, canonical_order
from recexp.data.interactions import Interactions

_SECONDS_PER_DAY = 86_400.0


@dataclass(eq=False)
class Popularity:
    """The number of distinct training users of each item, the same for everybody.

    A user counts once an item, at his latest interaction with it. Time counts back from the
    latest training interaction.

    `partial_fit` gives what `fit` would of all interactions together: it keeps who chose what, and
    when, so that nobody counts twice and ages go on from the latest. A new item without a
    positive counts 0; a new user gets the same list as everybody.

    Attributes:
        window_days: count only the last so many days; None: all.
        half_life_days: a user counts 2^(-age / half_life_days); None: 1 whatever the age.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
    """

    window_days: float | None = None
    half_life_days: float | None = None
    positive_threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("window_days", "half_life_days"):
            days = getattr(self, name)
            require(days is None or days > 0, self, name, "a number of days > 0, or null")

    @property
    def needs(self) -> frozenset[str]:
        timed = self.window_days is not None or self.half_life_days is not None
        return frozenset({"timestamps"} if timed else ())

    def fit(self, train: Dataset) -> Self:
        self.kept_: Interactions = train.interactions.select(np.empty(0, np.int64))
        self.now_: int | None = None
        return self.partial_fit(train)

    def partial_fit(self, new: Dataset) -> Self:
        check_needs(self, new)
        require_room(self, new, self.kept_.n_users, self.kept_.n_items)
        time = new.interactions.timestamp if self.needs else None
        if time is not None and len(time):
            latest = int(time.max())
            self.now_ = latest if self.now_ is None else max(self.now_, latest)
        self.kept_ = self._latest(new.positives(self.positive_threshold))
        counts = np.bincount(self.kept_.item_idx, self._weights(), new.n_items)
        self.popularity_: Float32Array = counts.astype(np.float32)
        return self

    def _latest(self, new: Interactions) -> Interactions:
        """What is kept and what is new, of each user and item only the latest interaction."""
        old = self.kept_
        user_idx = np.append(old.user_idx, new.user_idx)
        item_idx = np.append(old.item_idx, new.item_idx)
        time = None
        if self.needs and old.timestamp is not None and new.timestamp is not None:
            time = np.append(old.timestamp, new.timestamp)
        ones = np.ones(len(user_idx), np.float32)
        order = canonical_order(user_idx, item_idx, time, ones, new.n_items)
        users, items = user_idx[order], item_idx[order]
        last = np.ones(len(order), bool)
        last[:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
        together = Interactions(user_idx, item_idx, ones, time, new.n_users, new.n_items)
        return together.select(order[last])

    def _weights(self) -> FloatArray | None:
        """What each of the kept interactions counts; None: 1."""
        if self.kept_.timestamp is None or self.now_ is None:
            return None
        age: FloatArray = (self.now_ - self.kept_.timestamp) / _SECONDS_PER_DAY
        weights = np.ones(len(age))
        if self.half_life_days is not None:
            weights = np.exp2(-age / self.half_life_days)
        if self.window_days is not None:
            weights[age > self.window_days] = 0.0
        return weights

    def score(self, users: IdxArray) -> Float32Array:
        return np.tile(self.popularity_, (len(users), 1))

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return np.full(len(users), Source.MODEL, np.uint8)

    def state(self) -> dict[str, Any]:
        kept = self.kept_
        return {
            "popularity": self.popularity_,
            "now": self.now_,
            "n_users": kept.n_users,
            "user_idx": kept.user_idx,
            "item_idx": kept.item_idx,
        } | ({} if kept.timestamp is None else {"timestamp": kept.timestamp})

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.popularity_, self.now_ = state["popularity"], state["now"]
        users, items = state["user_idx"], state["item_idx"]
        sizes = int(state["n_users"]), len(self.popularity_)
        ones = np.ones(len(users), np.float32)
        self.kept_ = Interactions(users, items, ones, state.get("timestamp"), *sizes)
        return self
