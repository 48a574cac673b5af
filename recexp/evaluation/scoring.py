"""Scores for every user, also for those of whom the algorithm has nothing to say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import FoldIn, Recommender, Source, sources
from recexp.algorithms.popularity import Popularity
from recexp.arrays import Float32Array, IdxArray, IntArray, Sparse
from recexp.evaluation.topk import Scores
from recexp.splits.base import Split


@dataclass(frozen=True)
class FoldedIn:
    """A recommender that answers users by the histories given after its training."""

    recommender: FoldIn
    histories: Sparse
    """csr (n_users, n_items) of values"""

    def score(self, users: IdxArray) -> Float32Array:
        """Return scores, float32 (len(users), n_items), of the histories of `users`."""
        return self.recommender.score_histories(self.histories[users])


class Scorer:
    """Says who answers a user, and answers every user of a split.

    - A user without training interactions who has a history (`split.history`) is folded in by a
      recommender that can (`FOLD_IN`).
    - One of whom the recommender has nothing to say (`FALLBACK`) gets the popularity of the
      training part: the number of distinct users of each item.
    - Everybody else is the recommender's own.
    """

    def __init__(self, recommender: Recommender, split: Split) -> None:
        self.recommender = recommender
        self.split = split

    def sources(self, users: IdxArray) -> NDArray[np.uint8]:
        """Return how each of `users` is answered, uint8 (see `Source`)."""
        train, history = self.split.train, self.split.history
        found = sources(self.recommender, users, train)
        if history is None or not isinstance(self.recommender, FoldIn):
            return found
        unknown = train.interactions.user_counts()[users] == 0
        folded = unknown & (history.user_counts()[users] > 0)
        return np.where(folded, np.uint8(Source.FOLD_IN), found)

    def answers(self, users: IdxArray) -> list[tuple[Scores, IntArray]]:
        """Return who scores which of `users`: (model, positions in `users`), none without any."""
        found = self.sources(users)
        folded, fallen = found == Source.FOLD_IN, found == Source.FALLBACK
        parts: list[tuple[Scores, IntArray]] = []
        if not (folded | fallen).all():
            parts.append((self.recommender, np.flatnonzero(~(folded | fallen))))
        if folded.any():
            parts.append((self._folded_in, np.flatnonzero(folded)))
        if fallen.any():
            parts.append((self._popularity, np.flatnonzero(fallen)))
        return parts

    def score(self, users: IdxArray) -> Float32Array:
        """Return scores, float32 (len(users), n_items), each row by who answers that user."""
        scores = np.empty((len(users), self.split.train.n_items), np.float32)
        for model, at in self.answers(users):
            scores[at] = model.score(users[at])
        return scores

    @cached_property
    def _popularity(self) -> Popularity:
        return Popularity().fit(self.split.train)

    @cached_property
    def _folded_in(self) -> FoldedIn:
        assert isinstance(self.recommender, FoldIn)
        assert self.split.history is not None
        return FoldedIn(self.recommender, self.split.history.csr())
