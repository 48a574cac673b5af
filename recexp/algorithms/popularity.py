"""What most people chose: the baseline, and the answer for users nothing is known of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs, require
from recexp.arrays import Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions

_SECONDS_PER_DAY = 86_400.0


@dataclass(eq=False)
class Popularity:
    """The number of distinct training users of each item, the same for everybody.

    A user counts once an item, at his latest interaction with it. Time counts back from the
    latest training interaction.

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
        check_needs(self, train)
        positives = train.positives(self.positive_threshold)
        time = train.interactions.timestamp
        if self.needs and time is not None and len(time):
            counts = self._timed_counts(positives, int(time.max()))
        else:
            counts = positives.csr("ones").sum(axis=0)
        self.popularity_: Float32Array = np.asarray(counts, dtype=np.float32)
        return self

    def _timed_counts(self, positives: Interactions, now: int) -> FloatArray:
        latest = _latest_of_each_pair(positives)
        assert latest.timestamp is not None  # `needs`
        age: FloatArray = (now - latest.timestamp) / _SECONDS_PER_DAY
        weight = np.ones(len(age))
        if self.half_life_days is not None:
            weight = np.exp2(-age / self.half_life_days)
        if self.window_days is not None:
            weight[age > self.window_days] = 0.0
        return np.asarray(np.bincount(latest.item_idx, weight, positives.n_items), np.float64)

    def score(self, users: IdxArray) -> Float32Array:
        return np.tile(self.popularity_, (len(users), 1))

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return np.full(len(users), Source.MODEL, np.uint8)

    def state(self) -> dict[str, Any]:
        return {"popularity": self.popularity_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.popularity_ = state["popularity"]
        return self


def _latest_of_each_pair(interactions: Interactions) -> Interactions:
    time = interactions.timestamp
    assert time is not None
    order = np.lexsort((time, interactions.item_idx, interactions.user_idx))
    users, items = interactions.user_idx[order], interactions.item_idx[order]
    last = np.append((users[1:] != users[:-1]) | (items[1:] != items[:-1]), True)
    return interactions.select(order[last])
