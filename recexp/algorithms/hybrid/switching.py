"""One algorithm for what is known well, another for the rest: an answer to the cold start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import (
    Explains,
    FoldIn,
    PredictsRatings,
    Recommender,
    SimilarItems,
    require,
)
from recexp.algorithms.hybrid.composite import Pair
from recexp.algorithms.hybrid.normalize import NORMALIZATIONS, Normalization, normalized
from recexp.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IdxArray, IntArray, Sparse


@dataclass(eq=False)
class Switching(Pair):
    """The first member answers where there are enough training interactions, else the second.

    Of the user, or of the item (Burke 2002: switching). By user, one member makes a user's whole
    list. By item, a list has items of both: each member's scores are normalized over all items,
    and then its own are taken. A member that has nothing to say of a user (`Source.FALLBACK`)
    leaves him to the other, if that has.

    A history that is given later is answered by its length; what the second member cannot do
    (fold in, explain), the first does alone, or nobody. Similar items are by user the first
    member's; by item, the member answers whose turn the item is. With `normalize=none`, members
    that both predict ratings, predict.

    Attributes:
        members: two recommenders by name, the first and the second as written.
        by: `user` or `item`.
        min_interactions: that the first member takes, >= 1.
        normalize: how scores are made comparable: `min_max`, `z_score`, `rank` or `none`.
    """

    members: Mapping[str, Recommender]
    by: Literal["user", "item"] = "user"
    min_interactions: int = 5
    normalize: Normalization = "min_max"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.by in ("user", "item"), self, "by", "user or item")
        require(self.min_interactions >= 1, self, "min_interactions", "a whole number >= 1")
        require(self.normalize in NORMALIZATIONS, self, "normalize", "|".join(NORMALIZATIONS))
        first = [next(iter(self.members.values()))]
        self._offer(FoldIn, first)
        self._offer(Explains, first)
        if self.by == "user":
            self._offer(SimilarItems, first)
        if self.normalize == "none":
            self._offer(PredictsRatings, self.members.values())

    def score(self, users: IdxArray) -> Float32Array:
        first, second = self._speaking(users)
        turns = self._turns(self.user_counts_[users], first, second)
        return self._switched(lambda member, rows: member.score(users[rows]), turns)

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        first, second = self._member_sources(users)
        sources: NDArray[np.uint8] = np.minimum(first, second)
        if self.by == "user":
            turns = self._turns(self.user_counts_[users], *self._speaking(users))[:, 0]
            sources = np.where(turns, first, second)
        return sources

    def _score_histories(self, histories: Sparse) -> Float32Array:
        first = np.ones(histories.shape[0], np.bool_)
        second = first & isinstance(list(self.members.values())[1], FoldIn)
        turns = self._turns(np.diff(histories.indptr), first, second)
        return self._switched(lambda member, rows: member.score_histories(histories[rows]), turns)

    def _similarities(self, items: IdxArray) -> Float32Array:
        counts = self.item_counts_[items, None]
        turns = counts >= (self.min_interactions if self.by == "item" else 0)
        return self._switched(lambda member, rows: member.similarities(items[rows]), turns)

    def _turns(self, n_known: AnyArray, first: BoolArray, second: BoolArray) -> BoolArray:
        """Where the first member answers users who have `n_known` items, from who has a say.

        (n, 1) by user, (n, n_items) by item; the arguments are (n,).
        """
        counts = n_known[:, None] if self.by == "user" else self.item_counts_
        return self._is_first(counts, first[:, None], second[:, None])

    def _switched(
        self, ask: Callable[[Any, IntArray], Float32Array], turns: BoolArray
    ) -> Float32Array:
        """The scores of each member where it is its turn; `ask(member, rows)` gives its rows."""
        scores = np.zeros((len(turns), len(self.item_counts_)), np.float32)
        for member, its in zip(self.members_.values(), (turns, ~turns), strict=True):
            rows = np.flatnonzero(its.any(axis=1))
            if len(rows):
                own = normalized(ask(member, rows), self.normalize)
                scores[rows] = np.where(its[rows], own, scores[rows])
        return scores

    def _predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        turns = self._pair_turns(users, items)
        first, second = (member.predict(users, items) for member in self.members_.values())
        ratings: FloatArray = np.where(turns, first, second)
        return ratings

    def _explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        first = self._pair_turns(np.array([user], np.int32), np.array([item], np.int32))[0]
        member = list(self.members_.values())[0 if first else 1]
        return member.explain(user, item, n) if isinstance(member, Explains) else []

    def _pair_turns(self, users: IdxArray, items: IdxArray) -> BoolArray:
        """Whether the first member answers each (user, item) pair."""
        counts = self.user_counts_[users] if self.by == "user" else self.item_counts_[items]
        return self._is_first(counts, *self._speaking(users))

    def _is_first(self, counts: IntArray, first: BoolArray, second: BoolArray) -> BoolArray:
        """The rule: who alone has something to say, else by the interactions; all broadcast."""
        return np.where(first == second, counts >= self.min_interactions, first)
