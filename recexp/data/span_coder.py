"""Codes for spans of bytes: whole numbers are their own, texts have those of a hash table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from recexp.arrays import AnyArray, IdxArray
from recexp.data.compiled import compiled
from recexp.data.scan_spans import DIGITS
from recexp.data.scan_values import ENCODE, encode


class SpanCoder:
    """A compiled hash table that grows.

    A whole number of at most DIGITS digits, written plainly, is its own code; other texts have
    -1, -2, ...
    """

    def __init__(self) -> None:
        self._seen = np.zeros(10**DIGITS, bool)
        self._sizes = np.zeros(2, np.int64)
        self._allocate(1 << 12, 1 << 16)

    def _allocate(self, n_texts: int, n_bytes: int) -> None:
        self._slots = np.full(2 * n_texts, -1, np.int32)
        self._hashes = np.empty(n_texts, np.uint64)
        self._ends = np.empty(n_texts, np.int64)
        self._pool = np.empty(n_bytes, np.uint8)

    def encode(self, buffer: AnyArray, starts: AnyArray, ends: AnyArray, codes: AnyArray) -> None:
        """Write the code of each span of `buffer`; one that starts at KNOWN keeps its code."""
        done = 0
        while (done := self._encode(buffer, starts, ends, done, codes)) < len(starts):
            self._grow(int(ends[done] - starts[done]))

    def encode_texts(self, texts: Sequence[bytes]) -> IdxArray:
        """Return the code of each text."""
        sizes = np.array([len(text) for text in texts], np.int32)
        ends = np.cumsum(sizes, dtype=np.int32)
        codes = np.empty(len(texts), np.int32)
        self.encode(np.frombuffer(b"".join(texts) or b"\0", np.uint8), ends - sizes, ends, codes)
        return codes

    def decode(self, codes: AnyArray) -> list[bytes]:
        """Return the text of each code."""
        texts = self._texts()
        return [b"%d" % code if code >= 0 else texts[-1 - code] for code in codes.tolist()]

    def _texts(self) -> list[bytes]:
        n, size = self._sizes.tolist()
        pool = self._pool[:size].tobytes()
        return [pool[a:b] for a, b in itertools.pairwise([0, *self._ends[:n].tolist()])]

    def _numbers_in(self, other: SpanCoder) -> IdxArray:
        """The number in `other` of each text here, from 0 on; what is new there is added."""
        n = int(self._sizes[0])
        ends = self._ends[:n]
        codes = np.empty(n, np.int32)
        # In pieces: spans are int32, a pool may be longer.
        cuts = np.flatnonzero(np.diff(ends // (1 << 30), prepend=0))
        for first, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), n], strict=True):
            if first == stop:
                continue
            base = int(ends[first - 1]) if first else 0
            rights = (ends[first:stop] - base).astype(np.int32)
            lefts = np.concatenate([[0], rights[:-1]]).astype(np.int32)
            pool = self._pool[base : int(ends[stop - 1])]
            other.encode(pool if len(pool) else self._pool, lefts, rights, codes[first:stop])
        return -1 - codes

    def _encode(
        self, buffer: AnyArray, starts: AnyArray, ends: AnyArray, done: int, codes: AnyArray
    ) -> int:
        table = (self._seen, self._sizes, self._slots, self._hashes, self._ends, self._pool)
        return int(compiled(encode, ENCODE)(buffer, starts, ends, done, codes, *table))

    def _grow(self, size: int) -> None:
        old = SpanCoder.__new__(SpanCoder)
        old._sizes, old._ends, old._pool = self._sizes, self._ends, self._pool
        self._sizes = np.zeros(2, np.int64)
        n_texts, n_bytes = len(self._hashes), len(self._pool)
        n_texts *= 4 if old._sizes[0] == n_texts else 1
        n_bytes *= 4 if old._sizes[1] + size > n_bytes else 1
        self._allocate(n_texts, max(n_bytes, int(old._sizes[1]) + 4 * size))
        old._numbers_in(self)


def merge(coders: Sequence[SpanCoder]) -> tuple[list[bytes], list[IdxArray]]:
    """Return the distinct texts of several coders, and for each coder their places by code.

    Places are as `Coded` has them: numbers count from the beginning, texts from the end.
    """
    first = coders[0]
    seen = np.logical_or.reduce([coder._seen for coder in coders])
    numbers = np.flatnonzero(seen)
    top = int(numbers[-1]) + 1 if len(numbers) else 0
    ranks = np.cumsum(seen[:top], dtype=np.int32) - np.int32(1)
    places = []
    for coder in coders:
        texts = coder._numbers_in(first) if coder is not first else np.arange(first._sizes[0])
        places.append(np.append(ranks, (len(numbers) + texts[::-1]).astype(np.int32)))
    return [b"%d" % number for number in numbers.tolist()] + first._texts(), places
