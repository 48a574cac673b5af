"""Columns of texts as codes: each distinct text once, and a small number for every row."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, IdxArray
from recexp.data.scan_kernel import DIRECT, Kernels


@dataclass(frozen=True, eq=False)
class Coded:
    """A column: `distinct` values, and parts of rows whose codes are places in them.

    A part is (codes, places): the code c of a row means `distinct[places[c]]`, or `distinct[c]`
    without places. Every distinct value occurs in some row.
    """

    distinct: Sequence[Any]
    parts: Sequence[tuple[IdxArray, IdxArray | None]]

    def __len__(self) -> int:
        return sum(len(codes) for codes, _ in self.parts)

    def take(self, values: AnyArray) -> AnyArray:
        """Return what `values` has for the distinct value of every row."""
        out = np.empty(len(self), values.dtype)
        at = 0
        for codes, places in self.parts:
            of_code = values if places is None else values[places]
            np.take(of_code, codes, out=out[at : at + len(codes)], mode="clip")
            at += len(codes)
        return out

    def codes(self) -> IdxArray:
        """Return the place in `distinct` of every row, int32."""
        return self.take(np.arange(len(self.distinct), dtype=np.int32))

    def rows(self, wanted: BoolArray) -> BoolArray:
        """Return the rows whose distinct value is `wanted`; cheap when none or all are."""
        if not wanted.any():
            return np.zeros(len(self), bool)
        return self.take(wanted)


class DictCoder:
    """Codes for values of any kind, by a dict."""

    def __init__(self) -> None:
        self._codes: dict[Hashable, int] = {}

    def encode(self, values: Iterable[Hashable]) -> IdxArray:
        """Return the code of each value; new ones get the next."""
        codes = self._codes
        return np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)

    def distinct(self) -> list[Any]:
        """Return the values by code."""
        return list(self._codes)


class SpanCoder:
    """Codes for spans of bytes, by a compiled hash table that grows."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._direct = np.full(DIRECT, -1, np.int32)
        self._sizes = np.zeros(2, np.int64)
        self._allocate(1 << 15, 1 << 20)

    def _allocate(self, n_texts: int, n_bytes: int) -> None:
        self._slots = np.full(2 * n_texts, -1, np.int32)
        self._hashes = np.empty(n_texts, np.uint64)
        self._ends = np.empty(n_texts, np.int64)
        self._pool = np.empty(n_bytes, np.uint8)

    def encode(self, buffer: AnyArray, starts: AnyArray, ends: AnyArray) -> IdxArray:
        """Return the code of each span of `buffer`, -1 for one that starts at -1."""
        codes = np.empty(len(starts), np.int32)
        done = 0
        while (done := self._encode(buffer, starts, ends, done, codes)) < len(starts):
            self._grow(int(ends[done] - starts[done]))
        return codes

    def encode_texts(self, texts: Sequence[bytes]) -> IdxArray:
        """Return the code of each text."""
        ends = np.cumsum([len(text) for text in texts], dtype=np.int32)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
        buffer = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
        return self.encode(buffer, starts, ends)

    def places_in(self, other: SpanCoder) -> IdxArray:
        """Return the code in `other` of each code here; what is new there is added."""
        n = int(self._sizes[0])
        ends = self._ends[:n]
        places = np.empty(n, np.int32)
        # In pieces: spans are int32, a pool may be longer.
        cuts = np.flatnonzero(np.diff(ends // (1 << 30), prepend=0))
        for first, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), n], strict=True):
            if first == stop:
                continue
            base = int(ends[first - 1]) if first else 0
            rights = (ends[first:stop] - base).astype(np.int32)
            lefts = np.concatenate([[0], rights[:-1]]).astype(np.int32)
            pool = self._pool[base : int(ends[stop - 1])]
            places[first:stop] = other.encode(pool if len(pool) else self._pool, lefts, rights)
        return places

    def distinct(self) -> list[bytes]:
        """Return the texts by code."""
        n, size = self._sizes.tolist()
        pool = self._pool[:size].tobytes()
        ends = self._ends[:n].tolist()
        return [pool[a:b] for a, b in itertools.pairwise([0, *ends])]

    def _encode(
        self, buffer: AnyArray, starts: AnyArray, ends: AnyArray, done: int, codes: AnyArray
    ) -> int:
        table = (self._sizes, self._slots, self._hashes, self._ends, self._pool, self._direct)
        return int(self._kernels.encode(buffer, starts, ends, done, codes, *table))

    def _grow(self, size: int) -> None:
        old = SpanCoder.__new__(SpanCoder)
        old._sizes, old._ends, old._pool = self._sizes, self._ends, self._pool
        self._sizes = np.zeros(2, np.int64)
        self._direct.fill(-1)
        n_texts, n_bytes = 4 * len(self._hashes), 4 * len(self._pool)
        n_texts = n_texts if old._sizes[0] == len(self._hashes) else len(self._hashes)
        n_bytes = n_bytes if old._sizes[1] + size > len(self._pool) else len(self._pool)
        self._allocate(n_texts, max(n_bytes, int(old._sizes[1]) + 4 * size))
        old.places_in(self)
