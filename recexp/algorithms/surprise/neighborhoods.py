"""Weighted means over the nearest neighbors, for many pairs at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, BoolArray, FloatArray, IdxArray, IntArray

_CHUNK = 1 << 18
"""Elements worked on at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Neighborhoods:
    """Who is similar to each x, and which x' (with which residuals) each y offers as neighbors.

    Attributes:
        known: int32 (n,) ascending, the x that may be compared; below, "positions" are in it.
        similarities: float64 (n, n), negative ones set to 0 since they never count.
        starts: int64 (n_y + 1,), where the neighbors of each y start.
        neighbors: int32, positions of the neighbors of each y, ascending.
        residuals: float64, the residual rating of each of `neighbors`.
    """

    known: IdxArray
    similarities: FloatArray
    starts: IntArray
    neighbors: IdxArray
    residuals: FloatArray

    def __post_init__(self) -> None:
        _ = self._ranked  # now, once: several threads may ask for means at the same time

    @classmethod
    def build(
        cls,
        similarities: FloatArray,
        known: IdxArray,
        x: IdxArray,
        y: IdxArray,
        residuals: FloatArray,
        n_y: int,
    ) -> Self:
        """Return neighborhoods of parallel columns x, y, residuals; `similarities` is as `known`.

        The neighbors of a y keep ascending order, which decides between equal similarities.
        """
        order = np.argsort(known)
        similarities = similarities[np.ix_(order, order)]
        np.maximum(similarities, 0.0, out=similarities)
        rows = np.lexsort((x, y))
        return cls(
            known[order],
            similarities,
            np.concatenate([[0], np.cumsum(np.bincount(y, minlength=n_y))]),
            np.searchsorted(known[order], x[rows]).astype(np.int32),
            residuals[rows],
        )

    def means(self, x: IdxArray, y: IdxArray, most: int, fewest: int) -> FloatArray:
        """Return the weighted mean residual of each x for each y, float64 (len(x), len(y)).

        Over the `most` neighbors of y that are most similar to x; NaN with fewer than `fewest`
        of positive similarity, and for an x that is not known.
        """
        means = np.full((len(x), len(y)), np.nan)
        positions, is_known = self._positions(x)
        rows = np.flatnonzero(is_known)
        for part in blocks(len(rows), len(self.known), budget=_CHUNK):
            block = rows[part]
            x_keys = self._keys[positions[block]]
            for columns in self._groups(y, len(block)):
                neighbors, residuals = self._padded(y[columns])
                keys = x_keys.take(neighbors.ravel(), axis=1)
                keys = keys.reshape(len(block), *neighbors.shape)
                nearest = self._nearest(keys, most)
                owners = positions[block][:, None, None], np.arange(len(columns))[:, None]
                means[np.ix_(block, columns)] = self._mean(nearest, *owners, residuals, fewest)
        return means

    def pair_means(self, x: IdxArray, y: IdxArray, most: int, fewest: int) -> FloatArray:
        """Return the weighted mean residual of each pair, float64 (len(x),); as in `means`."""
        means = np.full(len(x), np.nan)
        positions, is_known = self._positions(x)
        rows = np.flatnonzero(is_known)
        for part in self._groups(y[rows], 1):
            block = rows[part]
            neighbors, residuals = self._padded(y[block])
            nearest = self._nearest(self._keys[positions[block][:, None], neighbors], most)
            owners = positions[block][:, None], np.arange(len(block))[:, None]
            means[block] = self._mean(nearest, *owners, residuals, fewest)
        return means

    def _positions(self, x: IdxArray) -> tuple[IntArray, BoolArray]:
        positions = np.minimum(np.searchsorted(self.known, x), len(self.known) - 1)
        return positions, self.known[positions] == x

    @cached_property
    def _degrees(self) -> IntArray:
        return np.diff(self.starts)

    @cached_property
    def _place_bits(self) -> int:
        """Bits that hold a neighbor's place in the list of its y."""
        return int(self._degrees.max(initial=1)).bit_length()

    @cached_property
    def _ranked(self) -> tuple[AnyArray, FloatArray]:
        """For each x: the rank of each neighbor by falling similarity, and similarity by rank.

        A last column stands for padding: it ranks last and has similarity 0.
        """
        n = len(self.known)
        fits = n.bit_length() + self._place_bits <= 32
        ranks = np.full((n, n + 1), n, np.uint32 if fits else np.uint64)
        by_rank = np.zeros((n, n + 1))
        for part in blocks(n, n):
            order = np.argsort(-self.similarities[part], axis=1, kind="stable")
            np.put_along_axis(ranks[part], order, np.arange(n, dtype=ranks.dtype)[None, :], axis=1)
            by_rank[part, :n] = np.take_along_axis(self.similarities[part], order, axis=1)
        return ranks << ranks.dtype.type(self._place_bits), by_rank

    @property
    def _keys(self) -> AnyArray:
        """Unsigned (n, n + 1): rank << bits, so that the least keys are the nearest neighbors."""
        return self._ranked[0]

    def _groups(self, y: IdxArray, width: int) -> Iterator[IntArray]:
        """Positions in `y` of similar numbers of neighbors, those without any left out."""
        degrees = self._degrees[y]
        order = np.argsort(-degrees, kind="stable")[: np.count_nonzero(degrees)]
        start = 0
        while start < len(order):
            step = max(1, _CHUNK // (width * int(degrees[order[start]])))
            yield order[start : start + step]
            start += step

    def _padded(self, y: IdxArray) -> tuple[IntArray, FloatArray]:
        """The neighbors of each y and their residuals, as rows of the greatest length."""
        degrees = self._degrees[y]
        place = np.arange(degrees.max())
        inside = place < degrees[:, None]
        slots = np.where(inside, self.starts[y][:, None] + place, 0)
        neighbors = np.where(inside, self.neighbors[slots], len(self.known))
        return neighbors, self.residuals[slots]

    def _nearest(self, keys: AnyArray, most: int) -> AnyArray:
        """The `most` least of `keys` along the last axis, each with its place in the low bits.

        Keys are unique, so equal similarities need no rule here: their rank has decided.
        """
        keys |= np.arange(keys.shape[-1], dtype=keys.dtype)
        if keys.shape[-1] > most:
            keys.partition(most - 1, axis=-1)
        return keys[..., :most]

    def _mean(
        self, keys: AnyArray, x: IntArray, row: IntArray, residuals: FloatArray, fewest: int
    ) -> FloatArray:
        """The weighted mean over `keys`' last axis; x positions and `residuals` rows broadcast."""
        by_rank = self._ranked[1]
        bits = keys.dtype.type(self._place_bits)
        ranks = (keys >> bits).astype(np.int64)
        places = (keys & ((keys.dtype.type(1) << bits) - keys.dtype.type(1))).astype(np.int64)
        weights = by_rank.ravel().take(ranks + x * by_rank.shape[1])
        values = residuals.ravel().take(places + row * residuals.shape[1])
        total = weights.sum(axis=-1)
        enough = total > 0 if fewest == 1 else np.count_nonzero(weights, axis=-1) >= fewest
        mean: FloatArray = np.full(total.shape, np.nan)
        np.divide(np.einsum("...k,...k->...", weights, values), total, out=mean, where=enough)
        return mean

    def state(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return {
            "known": self.known,
            "similarities": self.similarities,
            "starts": self.starts,
            "neighbors": self.neighbors,
            "residuals": self.residuals,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Self:
        """Return the neighborhoods of a `state()`."""
        names = ("known", "similarities", "starts", "neighbors", "residuals")
        return cls(*(state[name] for name in names))
