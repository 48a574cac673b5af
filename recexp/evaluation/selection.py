"""The k + 1 best of scores that arrive piece by piece, under one total order.

A candidate is one 64-bit key: its score above, mapped to an unsigned integer of the same order,
and below it how early it comes among equals. Keys of different items differ, so the best are one
set, and any way of finding them finds the same. The one key beyond k tells whether the list ends
inside a tie.

Candidates that pass a user's threshold are collected in a buffer. When one fills up, all are cut
down to the best and the thresholds rise: few candidates pass, and the others cost one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recexp.arrays import BoolArray, Float32Array, IdxArray, IntArray

Keys: TypeAlias = NDArray[np.uint64]
Collect: TypeAlias = Callable[..., int]
"""`collect` below, or its compiled twin."""

STEP = 256
"""Items looked at between two looks at the buffers; NumPy's partition is slow beyond 256."""

SLACK = 16
"""Places of a buffer beyond twice what it is cut down to."""

NEVER = np.uint64(0x007FFFFF_FFFFFFFF)
"""The highest key of a score of -inf; what has a higher one is a candidate."""


def priorities(tie_rank: IdxArray, candidates: BoolArray | None) -> Keys:
    """Return the lower half of each item's key, uint64 (n_items,); 0 for a non-candidate."""
    priority = np.uint64(0xFFFFFFFF) - tie_rank.astype(np.uint64)
    return priority if candidates is None else np.where(candidates, priority, np.uint64(0))


class Selection:
    """The best candidates so far of each user of a block."""

    def __init__(
        self,
        k: int,
        begins: IntArray,
        ends: IntArray,
        seen: IdxArray,
        priority: Keys,
        collect: Collect,
    ) -> None:
        """Start without candidates; `seen[begins[row] : ends[row]]`, ascending, are none for it."""
        n = len(begins)
        self._size = k + 1
        self._limit = 2 * self._size + SLACK
        self._keys = np.zeros((n, _capacity(k, len(priority))), np.uint64)
        self._counts = np.zeros(n, np.int64)
        self._worst = np.full(n, NEVER)
        self._threshold = np.full(n, -np.inf, np.float32)
        self._seen = (begins.copy(), ends, seen)
        self._priority = priority
        self._collect = collect

    def add(self, scores: Float32Array, first: int) -> bool:
        """Take the scores of items first, first + 1, ...; the items of later calls come later.

        `scores` is C-contiguous float32; rows beyond the block and columns beyond the catalogue
        are padding. Returns False when the score of a candidate is NaN or +inf.
        """
        width = min(scores.shape[1], len(self._priority) - first)
        for start in range(0, width, STEP):
            most = self._collect(
                self._keys,
                self._counts,
                self._worst,
                self._threshold,
                *self._seen,
                self._priority,
                scores,
                first,
                start,
                min(start + STEP, width),
            )
            if most < 0:
                return False
            if most > self._limit:
                self._cut(most)
        return True

    def _cut(self, most: int) -> None:
        """Keep the best of each row, of which the first `most` places may be taken."""
        size = self._size
        keys = np.partition(self._keys[:, :most], most - size, axis=1)[:, most - size :]
        self._keys[:, :size] = keys
        self._keys[:, size:most] = 0
        self._counts[:] = size
        self._worst = np.maximum(keys[:, 0], NEVER)
        self._threshold = scores_of(self._worst)

    def best(self, item_at: IdxArray) -> tuple[IdxArray, Float32Array, BoolArray]:
        """Return items (n, k), best first, their scores (n, k), and the tied boundary (n,).

        `item_at` is the item of each tie rank, int32 (n_items,). Missing items are -1, their
        scores -inf.
        """
        most = int(self._counts.max(initial=0))
        if most > self._size:
            self._cut(most)
        keys = np.sort(self._keys[:, : self._size], axis=1)[:, ::-1]
        scores = scores_of(np.maximum(keys, NEVER))
        tied = (keys[:, -1] > 0) & (scores[:, -1] == scores[:, -2])
        rank = ~keys[:, :-1].astype(np.uint32)
        items = np.where(keys[:, :-1] > 0, item_at[rank % len(item_at)], np.int32(-1))
        return items, scores[:, :-1], tied


def selection_bytes(n_users: int, k: int, n_items: int) -> int:
    """Return what the selection of a block takes: its buffers, and their copy in a cut."""
    return 16 * n_users * _capacity(k, n_items)


def _capacity(k: int, n_items: int) -> int:
    """The places of a buffer: below the limit before a step, but no more than there are items."""
    return max(k + 1, min(2 * (k + 1) + SLACK + STEP, n_items))


def collect(
    keys: Keys,
    counts: IntArray,
    worst: Keys,
    threshold: Float32Array,
    cursor: IntArray,
    ends: IntArray,
    seen: IdxArray,
    priority: Keys,
    scores: Float32Array,
    first: int,
    start: int,
    stop: int,
) -> int:
    """Append the keys of columns start..stop that may be among the best, and advance `cursor`.

    Row by row of the block: a column that is a candidate, unseen, and not below `threshold` is
    appended at `counts` when its key exceeds `worst`. `cursor..ends` are the seen items from
    `first + start` on. Returns the highest count, or -1 when such a score is NaN or +inf.
    """
    n, first = len(counts), first + start
    scores = scores[:n, start:stop]
    priority = priority[first : first + stop - start]
    passes = ~(scores < threshold[:, None]) & (priority > 0)
    left = ends - cursor
    rows = np.repeat(np.arange(n), left)
    columns = seen[_ranges(cursor, left)] - first
    here = columns < stop - start
    passes[rows[here], columns[here]] = False
    cursor += np.bincount(rows[here], minlength=n)

    row, column = np.nonzero(passes)
    found = scores[row, column]
    if not (found < np.inf).all():
        return -1
    key = keys_of(found, priority[column])
    better = key > worst[row]
    row, key = row[better], key[better]
    added = np.bincount(row, minlength=n)
    keys[row, _ranges(counts, added)] = key
    counts += added
    return int(counts.max(initial=0))


def keys_of(scores: Float32Array, priority: Keys) -> Keys:
    """Return the keys of scores and priorities, uint64."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 equals 0.0, but its bits do not
    order = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return order.astype(np.uint64) << np.uint64(32) | priority


def scores_of(keys: Keys) -> Float32Array:
    """Return the scores in keys, float32."""
    order = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(order >> 31, order & np.uint32(0x7FFFFFFF), ~order)
    return bits.view(np.float32)


def _ranges(starts: IntArray, lengths: IntArray) -> IntArray:
    """Return starts[0] .. starts[0] + lengths[0] - 1, then the same of starts[1], ..."""
    offsets: IntArray = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return offsets + np.arange(len(offsets))
