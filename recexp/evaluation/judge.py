"""The judge: which places of the lists hold which test items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IdxArray, IntArray
from recexp.data.interactions import Interactions
from recexp.errors import DataError
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

_BLOCK_CELLS = 1 << 20
"""Cells (user x item) of the judge's working table: 4 MB, which stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """The distinct test items of the evaluated users, ordered by user and item.

    Attributes:
        users: int32 (n,), the users with at least one relevant test item, ascending.
        rows: int64 (p,), the position in `users` each item belongs to.
        items: int32 (p,).
        values: float64 (p,), the highest value where test rows repeat a pair.
        relevant: bool (p,), value >= the relevance threshold.
    """

    users: IdxArray
    rows: IntArray
    items: IdxArray
    values: FloatArray
    relevant: BoolArray

    @cached_property
    def n_relevant(self) -> IntArray:
        """|R(u)| of each user, int64 (n,), at least 1."""
        return np.bincount(self.rows[self.relevant], minlength=len(self.users))

    def within(self, segment: BoolArray) -> tuple[Holdout, BoolArray, BoolArray]:
        """Return the holdout restricted to the items in `segment`, bool (n_items,).

        Users left without a relevant item leave; the other two results say which items, bool
        (p,), and which users, bool (n,), stay.
        """
        inside = segment[self.items]
        users = np.zeros(len(self.users), bool)
        users[self.rows[inside & self.relevant]] = True
        inside &= users[self.rows]
        rows = np.cumsum(users)[self.rows[inside]] - 1
        parts = (self.items[inside], self.values[inside], self.relevant[inside])
        return Holdout(self.users[users], rows, *parts), inside, users


def relevant_interactions(split: Split, threshold: float | None = None) -> Interactions:
    """Return the test interactions with value >= `threshold` (the dataset's by default).

    Without ratings every test interaction is relevant.
    """
    return split.train.with_interactions(split.test).positives(threshold)


def evaluated_users(split: Split, threshold: float | None = None) -> IdxArray:
    """Return the users with at least one relevant test item, ascending: those to recommend to."""
    return relevant_interactions(split, threshold).users()


def holdout(split: Split, threshold: float | None = None) -> Holdout:
    """Return the distinct test items of the evaluated users.

    Test items that the user has seen in training stay relevant: R(u) does not depend on what a
    recommender may return. Raises DataError when no user has a relevant test item.
    """
    test = split.test
    pair = test.user_idx * np.int64(test.n_items) + test.item_idx
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    values = np.maximum.reduceat(test.value[order], first) if len(first) else test.value
    pair = pair[first]
    threshold = split.train.relevance_threshold if threshold is None else threshold
    everything = not split.train.explicit or threshold is None
    relevant = np.ones(len(pair), bool) if everything else values >= np.float32(threshold)
    every_user = Holdout(
        np.arange(test.n_users, dtype=np.int32),
        pair // test.n_items,
        (pair % test.n_items).astype(np.int32),
        values.astype(np.float64),
        relevant,
    )
    evaluated, _, _ = every_user.within(np.ones(test.n_items, bool))
    if not len(evaluated.users):
        raise DataError(
            f"no user has a relevant test item ({len(test)} test interactions, "
            f"relevance_threshold={threshold}): lower the threshold or enlarge the test part"
        )
    return evaluated


@dataclass(frozen=True, eq=False)
class Judged:
    """The first k places of the evaluated users' lists, judged: what a metric sees.

    Attributes:
        k: the cutoff.
        items: int32 (n, width), best first, -1 where the list has no item; width <= k, and what
            lies beyond the width is missing too.
        holdout: the users and their test items.
        catalogue: what training shows of the items.
        rows, ranks, pairs: the places that hold a test item, ordered by user and rank: position
            of the user, rank from 1, position of the item in the holdout; int64.
    """

    k: int
    items: IdxArray
    holdout: Holdout
    catalogue: Catalogue
    rows: IntArray
    ranks: IntArray
    pairs: IntArray

    @property
    def users(self) -> IdxArray:
        """The users, int32 (n,)."""
        return self.holdout.users

    @property
    def n_relevant(self) -> IntArray:
        """|R(u)| of each user, int64 (n,), at least 1."""
        return self.holdout.n_relevant

    @cached_property
    def n_hits(self) -> IntArray:
        """The number of relevant items in each list, int64 (n,)."""
        return np.bincount(self.hit_rows, minlength=len(self.users))

    @cached_property
    def hits(self) -> BoolArray:
        """Whether the item at each place is relevant, bool (n, k)."""
        hits = np.zeros((len(self.users), self.k), bool)
        hits[self.hit_rows, self.hit_ranks - 1] = True
        return hits

    @cached_property
    def gains(self) -> FloatArray:
        """The test value of the item at each place, 0 if it is no test item, float64 (n, k)."""
        gains = np.zeros((len(self.users), self.k))
        gains[self.rows, self.ranks - 1] = self.holdout.values[self.pairs]
        return gains

    @cached_property
    def _hit(self) -> BoolArray:
        return self.holdout.relevant[self.pairs]

    @cached_property
    def hit_rows(self) -> IntArray:
        """The position of the user of each hit, ordered by user and rank."""
        return self.rows[self._hit]

    @cached_property
    def hit_ranks(self) -> IntArray:
        """The rank of each hit, from 1."""
        return self.ranks[self._hit]

    @cached_property
    def hit_items(self) -> IdxArray:
        """The item of each hit."""
        return self.holdout.items[self.pairs[self._hit]]

    @cached_property
    def hit_counts(self) -> IntArray:
        """How many hits each hit's list has down to and including it, from 1."""
        before = np.cumsum(self.n_hits) - self.n_hits
        return np.arange(1, len(self.hit_rows) + 1) - before[self.hit_rows]

    def sum_over_hits(self, weights: AnyArray) -> FloatArray:
        """Return the sum of `weights`, one a hit, over each user's hits, float64 (n,)."""
        sums: AnyArray = np.bincount(self.hit_rows, weights, minlength=len(self.users))
        return sums

    def at(self, k: int) -> Judged:
        """Return the same lists cut off at `k`."""
        kept = self.ranks <= k
        return replace(
            self,
            k=k,
            items=self.items[:, :k],
            rows=self.rows[kept],
            ranks=self.ranks[kept],
            pairs=self.pairs[kept],
        )

    def within(self, segment: BoolArray) -> Judged:
        """Return the same lists judged against R(u) restricted to the items in `segment`.

        `segment` is bool (n_items,). Users left without a relevant item leave.
        """
        restricted, inside, users = self.holdout.within(segment)
        kept = inside[self.pairs]
        return replace(
            self,
            items=self.items[users],
            holdout=restricted,
            rows=np.cumsum(users)[self.rows[kept]] - 1,
            ranks=self.ranks[kept],
            pairs=np.cumsum(inside)[self.pairs[kept]] - 1,
        )


def judge(lists: TopK, held: Holdout, catalogue: Catalogue, k: int) -> Judged:
    """Return the first `k` places of the evaluated users' lists, judged.

    Evaluated users without a list get an empty one: their places are misses. Lists of other users
    are left out. Raises DataError for items outside the catalogue or a hit listed twice.
    """
    items = _lists_of(held.users, lists)[:, :k]
    n_items = len(catalogue.candidates)
    if items.size and (items.min() < -1 or items.max() >= n_items):
        raise DataError(
            f"lists: items span {items.min()}..{items.max()}, expected -1..{n_items - 1}"
        )
    rows, places, pairs = _find(items, held, n_items)
    if len(pairs) and np.bincount(pairs).max() > 1:
        raise DataError("lists: an item occurs twice in one user's list")
    return Judged(k, items, held, catalogue, rows, places + 1, pairs)


def _lists_of(users: IdxArray, lists: TopK) -> IdxArray:
    """The lists of `users`, int32 (len(users), width); all -1 for a user who has none."""
    if np.array_equal(users, lists.users):
        return lists.items
    if np.any(np.diff(lists.users) <= 0):
        raise DataError("lists: users must ascend, one row each")
    items = np.full((len(users), lists.items.shape[1]), -1, np.int32)
    position = np.searchsorted(lists.users, users)
    known = np.isin(users, lists.users)
    items[known] = lists.items[position[known]]
    return items


def _find(items: IdxArray, held: Holdout, n_items: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return (row, place, pair) of every place that holds a test item, by row and place.

    Block by block, the test items are written into a table of users by items and the lists read
    from it. Its last column stays empty: a missing item, idx -1, reads it in the row before.
    """
    width = n_items + 1
    n_rows = max(1, _BLOCK_CELLS // width)
    table = np.zeros(n_rows * width, np.int32)
    start = np.searchsorted(held.rows, np.arange(len(items) + 1))
    offset = np.arange(n_rows)[:, None] * width
    found = []
    for first in range(0, len(items), n_rows):
        block = items[first : first + n_rows]
        low, high = start[first], start[first + len(block)]
        cells = (held.rows[low:high] - first) * width + held.items[low:high]
        table[cells] = np.arange(low + 1, high + 1)
        pair = table[block + offset[: len(block)]]
        row, place = np.nonzero(pair)
        found.append((row + first, place, pair[row, place].astype(np.int64) - 1))
        table[cells] = 0
    rows, places, pairs = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, places, pairs
