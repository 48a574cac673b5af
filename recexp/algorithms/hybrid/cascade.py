"""One algorithm retrieves, another re-ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Recommender, require
from recexp.algorithms.hybrid.composite import Pair
from recexp.algorithms.hybrid.normalize import normalized, rounding
from recexp.arrays import BoolArray, Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class Cascade(Pair):
    """The first member retrieves its `n_candidates` best items, the second ranks them.

    Candidates have the second member's own scores; every other item lies below them, in the order
    of the first member, so that a list longer than `n_candidates` goes on as that would (Burke
    2002: cascade). Items that the user has already do not count among the n, so that n are left
    when they are filtered; those that score as high are ranked too. So are all that tie with the
    n-th. If the first member has nothing to say of a user (`Source.FALLBACK`), the second ranks
    all items; if the second has not, the order is the first's.

    A candidate's reasons are the second member's, another item's the first's. Similar items are
    retrieved and ranked in the same way.

    Attributes:
        members: two recommenders by name: the first retrieves, the second ranks.
        n_candidates: how many items are retrieved, >= 1.
    """

    members: Mapping[str, Recommender]
    n_candidates: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n_candidates >= 1, self, "n_candidates", "a whole number >= 1")

    def fit(self, train: Dataset) -> Self:
        super().fit(train)
        self.histories_: Sparse = train.interactions.csr("ones")
        return self

    def _partial_fit(self, new: Dataset) -> Self:
        histories = self.histories_.copy()
        histories.resize(new.n_users, new.n_items)
        self.histories_ = histories.maximum(new.interactions.csr("ones"))
        return super()._partial_fit(new)

    def score(self, users: IdxArray) -> Float32Array:
        first, second = (member.score(users) for member in self.members_.values())
        return self._ranked(first, second, self.histories_[users], *self._speaking(users))

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        best: NDArray[np.uint8] = self._member_sources(users).min(axis=0)
        return best

    def _score_histories(self, histories: Sparse) -> Float32Array:
        first, second = (member.score_histories(histories) for member in self.members_.values())
        everybody = np.ones(len(first), np.bool_)
        return self._ranked(first, second, histories, everybody, everybody)

    def _similarities(self, items: IdxArray) -> Float32Array:
        from scipy.sparse import csr_array

        first, second = (member.similarities(items) for member in self.members_.values())
        every = np.arange(len(items))
        itself = csr_array((np.ones(len(items), np.float32), (every, items)), shape=first.shape)
        return self._ranked(first, second, itself, every >= 0, every >= 0)

    def _retrieved(self, scores: Float32Array, histories: Sparse) -> BoolArray:
        """Which items the first member's scores retrieve, (n, n_items)."""
        new = scores.copy()
        new[np.repeat(np.arange(len(new)), np.diff(histories.indptr)), histories.indices] = -np.inf
        at = max(new.shape[1] - self.n_candidates, 0)
        least = np.partition(new, at, axis=1)[:, [at]]
        return (scores >= least - rounding(scores)) & (scores > -np.inf)

    def _ranked(
        self,
        first: Float32Array,
        second: Float32Array,
        histories: Sparse,
        first_speaks: BoolArray,
        second_speaks: BoolArray,
    ) -> Float32Array:
        """The scores of the cascade from those of its members; both masks are (n,)."""
        alone = second_speaks & ~first_speaks
        retrieved = self._retrieved(first, histories) | alone[:, None]
        ranked = retrieved & (second > -np.inf)
        low = second.min(axis=1, keepdims=True, where=ranked, initial=np.inf)
        low = np.where(np.isfinite(low), low, 0.0)
        # The others lie one to two gaps below; a gap is wide enough for float32 at any scale.
        others = normalized(np.where(retrieved, -np.inf, first).astype(np.float32), "min_max")
        scores = np.where(retrieved, second, low - (1 + np.abs(low)) * (2 - others))
        scores[second == -np.inf] = -np.inf
        silent = first_speaks & ~second_speaks
        return np.where(silent[:, None], first, scores).astype(np.float32)

    def _explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        users = np.array([user], np.int32)
        first, second = self.members_.values()
        speaks, ranks = (bool(one[0]) for one in self._speaking(users))
        retrieved = self._retrieved(first.score(users), self.histories_[users])[0, item]
        by_second = not speaks or (ranks and retrieved)
        reasons: list[tuple[str, float]] = (second if by_second else first).explain(user, item, n)
        return reasons

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"histories": self.histories_}

    def _restore(self, state: Mapping[str, Any]) -> Self:
        self.histories_ = state["histories"]
        return super()._restore(state)
