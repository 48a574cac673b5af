"""Hybrids that add up what their members give each item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.guards import blocks
from recexp.algorithms.hybrid.composite import Composite
from recexp.arrays import BoolArray, Float32Array, FloatArray, IdxArray, Sparse


class Fusion(Composite):
    """Scores `sum over members of weight * points(scores of the member)`, user by user.

    Fold-in, similarities (an item's row is treated as a user's) and explanations are made of the
    members' in the same way, and there are any only if every member has them.
    """

    def _points(self, scores: Float32Array) -> Float32Array:
        """The points of each item, (n, n_items), from a member's scores; -inf where these are."""
        raise NotImplementedError

    @property
    def _weights(self) -> FloatArray:
        """The weight of each member, float64."""
        return np.ones(len(self.members))

    def _votes(self, speaks: BoolArray) -> FloatArray:
        """The weight of each member for each user, float64, like `speaks` (n_members, n)."""
        given = self._weights[:, None]
        counts = speaks & (given != 0)
        return np.where(counts | ~counts.any(axis=0), given, 0.0)

    def score(self, users: IdxArray) -> Float32Array:
        votes = self._votes(self._speaking(users))
        return self._fused((member.score(users) for member in self.members_.values()), votes)

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        counts = self._weights != 0 if self._weights.any() else slice(None)
        best: NDArray[np.uint8] = self._member_sources(users)[counts].min(axis=0)
        return best

    def _score_histories(self, histories: Sparse) -> Float32Array:
        votes = self._votes(np.ones((len(self.members), histories.shape[0]), np.bool_))
        parts = (member.score_histories(histories) for member in self.members_.values())
        return self._fused(parts, votes)

    def _similarities(self, items: IdxArray) -> Float32Array:
        votes = self._votes(np.ones((len(self.members), len(items)), np.bool_))
        return self._fused((member.similarities(items) for member in self.members_.values()), votes)

    def _fused(self, parts: Iterable[Float32Array], votes: FloatArray) -> Float32Array:
        """The sum of the members' points; one part is held at a time, as large as the result."""
        fused = np.zeros((votes.shape[1], len(self.item_counts_)))
        for scores, vote in zip(parts, votes, strict=True):
            for rows in blocks(len(scores), scores.shape[1], budget=1 << 19):
                points, weight = self._points(scores[rows]), vote[rows, None]
                never = np.isneginf(points)
                fused[rows] += weight * np.where(never, 0.0, points)
                fused[rows][never & (weight != 0)] = -np.inf
        return fused.astype(np.float32)

    def _explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        """The members' reasons: they share out what the member gives the item."""
        users = np.array([user], np.int32)
        votes = self._votes(self._speaking(users))[:, 0]
        reasons: defaultdict[str, float] = defaultdict(float)
        for member, vote in zip(self.members_.values(), votes, strict=True):
            given = float(vote * self._points(member.score(users))[0, item])
            own = dict(member.explain(user, item, n))
            total = sum(own.values())
            if given > 0 and total > 0:
                for reason, weight in own.items():
                    reasons[reason] += given * weight / total
        return sorted(reasons.items(), key=lambda one: -one[1])[:n]
