"""Chance at ratings: what every predictor of ratings has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source, check_needs
from recexp.algorithms.random import hashes
from recexp.arrays import AnyArray, Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class Normal:
    """Independent normal ratings with the mean and deviation of the training ratings.

    Surprise's NormalPredictor. A rating is a function of seed, user and item (a hash, see
    `Random`), turned into a normal draw (Box and Muller 1958); it is not clipped.

    Learned: `n_items_`; `moments_`, float64: the number of ratings, their sum, that of squares.
    """

    seed: int = 42

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"ratings"})

    def fit(self, train: Dataset) -> Self:
        check_needs(self, train)
        self.n_items_ = train.n_items
        self.moments_ = _moments(train)
        return self

    def partial_fit(self, new: Dataset) -> Self:
        self.n_items_ = new.n_items
        self.moments_ = self.moments_ + _moments(new)
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return self._ratings(users[:, None], np.arange(self.n_items_)).astype(np.float32)

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        return self._ratings(users, items)

    def _ratings(self, users: AnyArray, items: AnyArray) -> FloatArray:
        n, total, squares = self.moments_
        mean = total / n
        bits = hashes(self.seed, users, items)
        radius = np.sqrt(-2 * np.log(((bits >> np.uint64(32)) + 0.5) / 2**32))
        angle = 2 * np.pi * (bits & np.uint64(2**32 - 1)) / 2**32
        ratings: FloatArray = mean + np.sqrt(squares / n - mean**2) * radius * np.cos(angle)
        return ratings

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return np.full(len(users), Source.MODEL, np.uint8)

    def state(self) -> dict[str, Any]:
        return {"n_items": self.n_items_, "moments": self.moments_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.n_items_, self.moments_ = int(state["n_items"]), state["moments"]
        return self


def _moments(dataset: Dataset) -> FloatArray:
    values = dataset.interactions.value.astype(np.float64)
    return np.array([len(values), values.sum(), (values**2).sum()])
