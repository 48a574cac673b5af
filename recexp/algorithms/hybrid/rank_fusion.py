"""Fusion of rankings: the scores count by their order only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recexp.algorithms.base import Recommender, require
from recexp.algorithms.hybrid.fusion import Fusion
from recexp.algorithms.hybrid.normalize import items_below
from recexp.arrays import Float32Array


@dataclass(eq=False)
class RankFusion(Fusion):
    """The sum of the points that each item's rank has in the members' rankings of all items.

    - `rrf`, reciprocal rank fusion: 1 / (rank_constant + rank), ranks from 1 (Cormack, Clarke,
      Buettcher, SIGIR 2009). The head of each ranking decides.
    - `borda`: the number of items below (Borda 1781). Every place counts the same.

    Items that tie, or differ by rounding only, share the mean of their ranks. Items scored -inf are
    not ranked, and never recommended.

    Attributes:
        members: two or more recommenders by name.
        method: `rrf` or `borda`.
        rank_constant: rrf: >= 0; the less, the more the first ranks count.
    """

    members: Mapping[str, Recommender]
    method: Literal["rrf", "borda"] = "rrf"
    rank_constant: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.method in ("rrf", "borda"), self, "method", "rrf or borda")
        require(self.rank_constant >= 0, self, "rank_constant", "a number >= 0")

    def _points(self, scores: Float32Array) -> Float32Array:
        below = items_below(scores)
        possible = scores > -np.inf
        if self.method == "rrf":
            rank = np.where(possible, possible.sum(axis=1, keepdims=True) - below, 1.0)
            below = 1.0 / (self.rank_constant + rank)
        return np.where(possible, below, -np.inf).astype(np.float32)
