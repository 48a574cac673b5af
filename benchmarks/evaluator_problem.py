"""The made-up problem that `evaluator.py` gives to recexp and its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.judge import Holdout, holdout
from recexp.rng import derive
from recexp.splits.base import Split

SIZES = {
    "small": (6_040, 3_706, 1_000_000),
    "medium": (69_878, 10_677, 10_000_000),
    "large": (138_493, 26_744, 20_000_000),
}
N_FACTORS = 64
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Problem:
    """What every contestant is given."""

    user_factors: Any
    item_factors: Any
    seen: Any
    held: Holdout
    catalogue: Catalogue
    k: int
    threads: int

    @property
    def cutoffs(self) -> tuple[int, int, int]:
        return self.k // 5, self.k // 2, self.k

    @property
    def n_users(self) -> int:
        return len(self.user_factors)

    @property
    def n_items(self) -> int:
        return len(self.item_factors)

    def factors(self) -> tuple[Any, Any]:
        return self.user_factors, self.item_factors

    def score(self, users: Any) -> Any:
        return self.user_factors[users] @ self.item_factors.T


def problem(size: str, k: int, threads: int) -> Problem:
    """Return the made-up problem of a size, the same at every call."""
    n_users, n_items, n_pairs = SIZES[size]
    rng = derive(42, "benchmark", size)
    weight = 1 / (np.arange(n_items) + 20.0) ** 0.9
    popularity = np.cumsum(rng.permutation(weight / weight.sum()))
    activity = rng.lognormal(0, 1, n_users)
    counts = np.minimum(5 + activity / activity.sum() * n_pairs, n_items / 3).astype(np.int64)
    users = np.repeat(np.arange(n_users), counts)
    items = np.searchsorted(popularity, rng.random(len(users))).clip(max=n_items - 1)
    pairs = np.unique(users * np.int64(n_items) + items)
    columns = (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32)
    is_test = rng.random(len(pairs)) < TEST_SHARE

    def part(rows: Any) -> Interactions:
        ones = np.ones(int(rows.sum()), np.float32)
        return Interactions(columns[0][rows], columns[1][rows], ones, None, n_users, n_items)

    ids = IdMap(range(n_users)), IdMap(range(n_items))
    split = Split(Dataset("made-up", part(~is_test), *ids), part(is_test))
    return Problem(
        rng.standard_normal((n_users, N_FACTORS), dtype=np.float32),
        rng.standard_normal((n_items, N_FACTORS), dtype=np.float32),
        split.seen(),
        holdout(split),
        Catalogue(split, np.ones(n_items, bool)),
        k,
        threads,
    )
