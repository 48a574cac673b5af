"""The area under the ROC curve: from the scores of all candidates, not from a list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recexp.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IntArray, Sparse
from recexp.evaluation.arithmetic import ratio
from recexp.evaluation.judge import Holdout
from recexp.evaluation.registry import Kind, metric
from recexp.evaluation.topk import Scores
from recexp.progress import progress

_BLOCK_SCORES = 1 << 22
"""Scores ranked at once; the keys and their sorted copy take 16 bytes each."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Where the test items stand among all candidates of their user.

    Attributes:
        holdout: the users and their test items.
        midranks: float64 (p,), for each test item the candidates scored below it and half of
            those scored equal, itself included; NaN for an item that is no candidate.
        n_candidates: int64 (n,), of each user.
    """

    holdout: Holdout
    midranks: FloatArray
    n_candidates: IntArray

    def within(self, segment: BoolArray) -> Ranked:
        """Return the same with R(u) restricted to the items in `segment`, bool (n_items,)."""
        restricted, inside, users = self.holdout.within(segment)
        return Ranked(restricted, self.midranks[inside], self.n_candidates[users])


@metric(
    "P(score of a relevant candidate > score of a non-relevant one), ties 1/2",
    "Rendle et al. 2009, UAI (BPR): AUC; Hanley, McNeil 1982 for ties",
    Kind.SCORES,
)
def auc(ranked: Ranked) -> FloatArray:
    """The AUC of each user; NaN where all candidates are relevant, or none.

    Over the r relevant ones of N candidates, the midranks sum to the pairs won against the
    others plus r^2 / 2 among themselves: auc = (sum of midranks - r^2 / 2) / (r (N - r)).
    """
    held = ranked.holdout
    counted = held.relevant & ~np.isnan(ranked.midranks)
    rows, n = held.rows[counted], len(held.users)
    r = np.bincount(rows, minlength=n)
    won = np.bincount(rows, ranked.midranks[counted], minlength=n) - r**2 / 2
    pairs = r * (ranked.n_candidates - r)
    return ratio(won, pairs, np.nan)


def rank_all(scorer: Scores, held: Holdout, seen: Sparse | None, candidates: BoolArray) -> Ranked:
    """Return where the test items stand among all candidates of their user.

    `seen` is csr (n_users, n_items) of what is no candidate for the user, or None; `candidates`
    is bool (n_items,). A score of -inf ("never") is the lowest.
    """
    n, n_items = len(held.users), len(candidates)
    midranks, n_candidates = np.empty(len(held.items)), np.empty(n, np.int64)
    n_rows = max(1, _BLOCK_SCORES // n_items)
    starts = range(0, n, n_rows)
    for start in progress(starts, "auc", total=len(starts)):
        stop = min(start + n_rows, n)
        pairs = slice(*np.searchsorted(held.rows, [start, stop]))
        excluded = np.broadcast_to(~candidates, (stop - start, n_items)).copy()
        if seen is not None:
            excluded[seen[held.users[start:stop]].nonzero()] = True
        n_candidates[start:stop] = n_items - excluded.sum(axis=1)
        keys = _keys(scorer.score(held.users[start:stop]), excluded)
        row, item = held.rows[pairs] - start, held.items[pairs]
        midranks[pairs] = _midranks(keys, row, item)
        midranks[pairs][excluded[row, item]] = np.nan
    return Ranked(held, midranks, n_candidates)


def _keys(scores: Float32Array, excluded: BoolArray) -> AnyArray:
    """Keys ordered by row, then by score; the excluded come last in their row; uint64."""
    scores = np.where(excluded, np.float32(np.nan), scores + np.float32(0))  # -0.0 equals 0.0
    bits = scores.view(np.uint32)
    order = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    row = np.arange(len(scores), dtype=np.uint64)[:, None]
    return row << np.uint64(32) | order


def _midranks(keys: AnyArray, row: IntArray, item: AnyArray) -> FloatArray:
    """The keys of the same row below each (row, item) plus half of those equal to it."""
    ordered = np.sort(keys, axis=1).ravel()
    wanted = keys[row, item]
    before: IntArray = row * keys.shape[1]
    below = np.searchsorted(ordered, wanted, "left") - before
    up_to = np.searchsorted(ordered, wanted, "right") - before
    return (below + up_to) / 2
