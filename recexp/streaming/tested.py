"""The tests of a replay."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source
from recexp.arrays import BoolArray, FloatArray, IdxArray, IntArray
from recexp.evaluation.topk import TopK


@dataclass(frozen=True, eq=False)
class Tests:
    """The tests of a replay, one row each, in the order of the stream.

    Attributes:
        timestamp: int64 (n,), seconds.
        user_idx, item_idx: int32 (n,), who chose what.
        value: float64 (n,), of the event.
        known: bool (n,), whether anything was heard of the user before.
        lists: the lists that the users had then; `users` are the rows, 0..n-1.
        sources: uint8 (n,), how each list was made (see `Source`).
        seconds: float64 (n,), that each list took.
    """

    timestamp: IntArray
    user_idx: IdxArray
    item_idx: IdxArray
    value: FloatArray
    known: BoolArray
    lists: TopK
    sources: NDArray[np.uint8]
    seconds: FloatArray

    __test__ = False  # no test of pytest's

    def __len__(self) -> int:
        return len(self.user_idx)

    @property
    def ranks(self) -> IntArray:
        """The rank of the chosen item in each list, from 1; 0 where it is not in it."""
        hit = self.lists.items == self.item_idx[:, None]
        return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 0)

    def select(self, rows: BoolArray) -> Tests:
        """Return the tests at `rows`, a mask."""
        lists = self.lists
        n = int(np.count_nonzero(rows))
        part = (lists.items[rows], lists.scores[rows], lists.tied_boundary[rows])
        return Tests(
            self.timestamp[rows],
            self.user_idx[rows],
            self.item_idx[rows],
            self.value[rows],
            self.known[rows],
            TopK(np.arange(n, dtype=np.int32), *part),
            self.sources[rows],
            self.seconds[rows],
        )


class TestLog:
    """The tests of a stream as they come, each in some hundred bytes."""

    __test__ = False

    def __init__(self, k: int) -> None:
        self._k = k
        self._times, self._users, self._items = array("q"), array("i"), array("i")
        self._values, self._seconds = array("d"), array("d")
        self._known, self._sources = array("b"), array("b")
        self._lists = array("i")

    def add(
        self,
        second: int,
        user: int,
        item: int,
        value: float,
        known: bool,
        listed: IdxArray,
        source: Source,
        seconds: float,
    ) -> None:
        """Add a test; `listed` has at most k items."""
        self._times.append(second)
        self._users.append(user)
        self._items.append(item)
        self._values.append(value)
        self._known.append(known)
        self._sources.append(source)
        self._seconds.append(seconds)
        self._lists.extend(listed.tolist())
        self._lists.extend([-1] * (self._k - len(listed)))

    def tests(self, start: int = 0) -> Tests:
        """Return the tests from number `start` on."""
        n = len(self._times) - start
        lists = TopK.empty(np.arange(n, dtype=np.int32), self._k)
        lists.items[:] = np.array(self._lists[start * self._k :], np.int32).reshape(n, self._k)
        return Tests(
            np.array(self._times[start:], np.int64),
            np.array(self._users[start:], np.int32),
            np.array(self._items[start:], np.int32),
            np.array(self._values[start:], np.float64),
            np.array(self._known[start:], np.bool_),
            lists,
            np.array(self._sources[start:], np.uint8),
            np.array(self._seconds[start:], np.float64),
        )
