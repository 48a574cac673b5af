"""Chance: what every algorithm has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source
from recexp.algorithms.guards import require_room
from recexp.arrays import AnyArray, Float32Array, IdxArray
from recexp.data.dataset import Dataset
from recexp.rng import derive


@dataclass(eq=False)
class Random:
    """Independent uniform scores, a function of seed, user and item alone.

    A user's scores do not depend on who else is asked for, nor on how many items there are: they
    are hashes (SplitMix64's finalizer: Steele, Lea, Flood, OOPSLA 2014), not draws from a stream.
    So `partial_fit` only takes note of new items, and new users are scored like others.
    """

    seed: int = 42

    def fit(self, train: Dataset) -> Self:
        self.n_items_ = train.n_items
        return self

    def partial_fit(self, new: Dataset) -> Self:
        require_room(self, new, 0, self.n_items_)
        return self.fit(new)

    def score(self, users: IdxArray) -> Float32Array:
        bits = hashes(self.seed, users[:, None], np.arange(self.n_items_))
        scores: Float32Array = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
        return scores

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return np.full(len(users), Source.MODEL, np.uint8)

    def state(self) -> dict[str, Any]:
        return {"n_items": self.n_items_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.n_items_ = int(state["n_items"])
        return self


def hashes(seed: int, users: AnyArray, items: AnyArray) -> NDArray[np.uint64]:
    """Return 64 random bits for each pair of the two arrays, which are broadcast."""
    start = derive(seed, "random").integers(2**64, size=1, dtype=np.uint64)
    of_user = _mix(users.astype(np.uint64) * _ODD + start)
    return _mix(of_user + items.astype(np.uint64) * _ODD)


_ODD = np.uint64(0x9E3779B97F4A7C15)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
