"""Weighted means over the nearest neighbors, for many pairs at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IdxArray, IntArray
from recexp.data.compiled import compiled, signature

COMPILED_FROM = 1 << 27
"""Neighbors looked at for all means, from which the time that numba takes to load is won back."""

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

        The neighbors of a y keep ascending order, which decides between equal similarities. Takes
        over `similarities`.
        """
        order = np.argsort(known)
        if (order[1:] < order[:-1]).any():
            similarities = similarities[np.ix_(order, order)]
        np.maximum(similarities, 0.0, out=similarities)
        position = np.zeros(int(known.max()) + 1, np.int32)
        position[known[order]] = np.arange(len(known))
        rows = grouped(x)
        rows = rows[grouped(y[rows])]
        starts = np.concatenate([[0], np.cumsum(np.bincount(y, minlength=n_y))])
        return cls(known[order], similarities, starts, position[x[rows]], residuals[rows])

    def means(self, x: IdxArray, y: IdxArray, most: int, fewest: int) -> FloatArray:
        """Return the weighted mean residual of each x for each y, float64 (len(x), len(y)).

        Over the `most` neighbors of y that are most similar to x; NaN with fewer than `fewest`
        of positive similarity, and for an x that is not known.
        """
        means = np.full((len(x), len(y)), np.nan)
        positions, is_known = self._positions(x)
        rows = np.flatnonzero(is_known)
        fill = self._compiled_means if self._compiled else self._means
        for part in blocks(len(rows), len(self.known), budget=_CHUNK):
            fill(means, rows[part], positions[rows[part]], y, most, fewest)
        return means

    def pair_means(self, x: IdxArray, y: IdxArray, most: int, fewest: int) -> FloatArray:
        """Return the weighted mean residual of each pair, float64 (len(x),); as in `means`."""
        means = np.full(len(x), np.nan)
        positions, is_known = self._positions(x)
        rows = np.flatnonzero(is_known)
        for part in self._groups(y[rows], 1):
            block = rows[part]
            neighbors, inside, residuals = self._padded(y[block])
            similar = self.similarities[positions[block][:, None], neighbors] * inside
            means[block] = weighted_means(nearest_only(similar, most), residuals, fewest)
        return means

    def similar(self, x: IdxArray, size: int) -> Float32Array:
        """Return the similarities of each x to all of range(size), 0 where unknown, float32."""
        positions, is_known = self._positions(x)
        similar = np.zeros((len(x), size), np.float32)
        similar[np.ix_(is_known, self.known)] = self.similarities[positions[is_known]]
        return similar

    def parts(self, x: int, y: int, most: int, fewest: int) -> tuple[IdxArray, FloatArray]:
        """Return the neighbors that make the mean residual of a pair, and what each adds to it."""
        offered = slice(self.starts[y], self.starts[y + 1])
        neighbors = self.neighbors[offered]
        positions, is_known = self._positions(np.array([x], np.int32))
        weights = nearest_only(self.similarities[positions[0], neighbors] * is_known, most)
        if np.count_nonzero(weights) < fewest:
            weights = weights[:0]
        counted = np.flatnonzero(weights)
        added = weights[counted] * self.residuals[offered][counted] / weights[counted].sum()
        return self.known[neighbors[counted]], added

    def _means(
        self,
        means: FloatArray,
        rows: IntArray,
        positions: IntArray,
        y: IdxArray,
        most: int,
        fewest: int,
    ) -> None:
        """Fill `rows` of `means`, of the x at `positions`."""
        similarities = self.similarities[positions]
        for columns in self._groups(y, len(rows)):
            neighbors, inside, residuals = self._padded(y[columns])
            similar = similarities[:, neighbors] * inside
            found = weighted_means(nearest_only(similar, most), residuals, fewest)
            means[np.ix_(rows, columns)] = found

    def _positions(self, x: IdxArray) -> tuple[IntArray, BoolArray]:
        positions = np.minimum(np.searchsorted(self.known, x), len(self.known) - 1)
        return positions, self.known[positions] == x

    @cached_property
    def _degrees(self) -> IntArray:
        return np.diff(self.starts)

    def _groups(self, y: IdxArray, width: int) -> Iterator[IntArray]:
        """Positions in `y` of similar numbers of neighbors, those without any left out."""
        degrees = self._degrees[y]
        order = np.argsort(-degrees, kind="stable")[: np.count_nonzero(degrees)]
        start = 0
        while start < len(order):
            step = max(1, _CHUNK // (width * int(degrees[order[start]])))
            yield order[start : start + step]
            start += step

    def _padded(self, y: IdxArray) -> tuple[AnyArray, BoolArray, FloatArray]:
        """The neighbors of each y, padded to the greatest number; which are; their residuals."""
        degrees = self._degrees[y]
        place = np.arange(degrees.max())
        inside = place < degrees[:, None]
        slots = np.where(inside, self.starts[y][:, None] + place, 0)
        return self.neighbors[slots], inside, self.residuals[slots]

    @cached_property
    def _compiled(self) -> bool:
        """Whether means are large enough a problem for numba: as a whole, so that a mean does not
        depend on what else is asked for."""
        if len(self.known) * len(self.neighbors) < COMPILED_FROM:
            return False
        try:
            compiled(_nearest_first, _TYPES)
        except ImportError:  # numba lags behind new versions of Python and NumPy
            return False
        return True

    def _compiled_means(
        self,
        means: FloatArray,
        rows: IntArray,
        positions: IntArray,
        y: IdxArray,
        most: int,
        fewest: int,
    ) -> None:
        """As `_means`: every neighbor, from the nearest on, adds to the y that have room for it."""
        from scipy.sparse import csr_array

        shape = (len(self.starts) - 1, len(self.known))
        offered = csr_array((self.residuals, self.neighbors, self.starts), shape=shape)
        by_neighbor = offered[y].T.tocsr()
        found = np.empty((len(rows), len(y)))
        compiled(_nearest_first, _TYPES)(
            self.similarities[positions],
            self._nearest_neighbors(positions),
            by_neighbor.indptr.astype(np.int64),
            by_neighbor.indices.astype(np.uint32),
            by_neighbor.data,
            most,
            fewest,
            found,
        )
        means[rows] = found

    @cached_property
    def _ordered(self) -> tuple[AnyArray, BoolArray]:
        """Everybody's neighbors from the nearest on, uint32, and of whom they have been sorted."""
        n = len(self.known)
        return np.empty((n, n), np.uint32), np.zeros(n, np.bool_)

    def _nearest_neighbors(self, positions: IntArray) -> AnyArray:
        """The neighbors of those at `positions`, the nearest first; of equals the first."""
        nearest, done = self._ordered
        new = positions[~done[positions]]
        nearest[new] = np.argsort(-self.similarities[new], axis=1, kind="stable")
        done[new] = True  # another thread may have done the same meanwhile, with the same result
        return nearest[positions]

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


def nearest_only(similarities: FloatArray, most: int) -> FloatArray:
    """Return `similarities`, 0 but for the `most` largest of the last axis, of equals the first."""
    n = similarities.shape[-1]
    if n <= most:
        return similarities
    least = np.partition(similarities, n - most, axis=-1)[..., n - most, None]
    kept = similarities >= least
    crowded = (np.count_nonzero(kept, axis=-1) > most) & (least[..., 0] > 0)
    if crowded.any():
        tied = similarities[crowded] == least[crowded]
        room = np.count_nonzero(tied, axis=-1) - np.count_nonzero(kept[crowded], axis=-1) + most
        kept[crowded] &= ~tied | (np.cumsum(tied, axis=-1) <= room[:, None])
    return similarities * kept


def weighted_means(weights: FloatArray, values: FloatArray, fewest: int) -> FloatArray:
    """Return the means over the last axis; NaN with fewer than `fewest` positive weights."""
    total = weights.sum(axis=-1)
    enough = np.count_nonzero(weights, axis=-1) >= fewest if fewest > 1 else total > 0
    means: FloatArray = np.full(total.shape, np.nan)
    np.divide(np.einsum("...k,...k->...", weights, values), total, out=means, where=enough)
    return means


def grouped(keys: AnyArray) -> IntArray:
    """Return positions that sort whole numbers >= 0, keeping the order of equal ones."""
    # NumPy sorts 16-bit integers by their digits, which is several times faster.
    narrow = keys.astype(np.uint16) if len(keys) and keys.max() < 1 << 16 else keys
    return np.argsort(narrow, kind="stable")


_TYPES = signature(
    "void",
    *("float64[][]", "uint32[][]", "int64[]", "uint32[]", "float64[]"),
    *("int64", "int64", "float64[][]!"),
)


def _nearest_first(  # type: ignore[no-untyped-def]  # numba infers types
    similarities, nearest, starts, columns, residuals, most, fewest, means
):
    n, n_columns = similarities.shape[1], means.shape[1]
    totals = np.empty(n_columns)
    counts = np.empty(n_columns, np.int32)
    for row in range(len(means)):
        sums = means[row]
        sums[:] = 0
        totals[:] = 0
        counts[:] = 0
        for place in range(n):
            neighbor = nearest[row, place]
            weight = similarities[row, neighbor]
            if not weight > 0:
                break
            for p in range(starts[neighbor], starts[neighbor + 1]):
                column = columns[p]
                if counts[column] < most:
                    counts[column] += 1
                    totals[column] += weight
                    sums[column] += weight * residuals[p]
        for column in range(n_columns):
            if counts[column] < fewest:
                sums[column] = np.nan
            else:
                sums[column] /= totals[column]
