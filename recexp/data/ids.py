"""Ids (the source's) against idx (0..n-1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, IdxArray
from recexp.errors import DataError


class IdMap:
    """The one converter between *ids* (the source's, `int` or `str`) and *idx* (0..n-1).

    Append-only: `add` gives unknown ids the next free idx, so a live update never moves an index.
    Ids are not interpreted: `"007"` and `"7"` differ, and `7` is neither.

    >>> ids = IdMap(["u1", "u2"])
    >>> ids.to_idx(["u2", "zz"]).tolist()
    [1, -1]
    >>> ids.add(["u2", "u3"]).tolist()
    [1, 2]
    """

    def __init__(self, ids: Iterable[Any]) -> None:
        self._ids: list[Any] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        self._idx: dict[Any, int] | None = None
        if len(self._index) != len(self._ids):
            raise DataError(f"{len(self._ids) - len(self._index)} ids occur twice in an id map")

    @classmethod
    def factorize(cls, values: AnyArray) -> tuple[IdMap, IdxArray]:
        """Return the map of the distinct `values`, in sorted order, and the idx of each value.

        Sorted, so that idx do not depend on the order of the rows. `values` is an array of
        integers, or of strings (dtype object or str); mixed types raise DataError.
        """
        if values.dtype.kind not in "iu":
            kinds = {type(value) for value in values.tolist()}
            if kinds - {str}:
                names = ", ".join(sorted(kind.__name__ for kind in kinds))
                raise DataError(f"ids of mixed or unusable types ({names}); expected int or str")
            values = values.astype(str) if values.dtype.kind == "O" else values
        elif values.dtype.kind == "i" and len(values) and _span(values) < 4 * len(values):
            # A table instead of a sort: ten times faster on the dense ids of most sources.
            low = int(values.min())
            offsets = values.astype(np.int64) - low
            present = np.bincount(offsets) > 0
            rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
            return cls([low + offset for offset in np.flatnonzero(present).tolist()]), rank[offsets]
        distinct, idx = np.unique(values, return_inverse=True)
        return cls(distinct), idx.reshape(-1).astype(np.int32)

    @property
    def _index(self) -> dict[Any, int]:
        if self._idx is None:
            self._idx = {id_: idx for idx, id_ in enumerate(self._ids)}
        return self._idx

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._index

    @property
    def ids(self) -> Sequence[Any]:
        """The ids in idx order."""
        return self._ids

    def to_idx(self, ids: Iterable[Any]) -> IdxArray:
        """Return the idx of each id, int32; -1 for an unknown id."""
        index = self._index
        return np.fromiter((index.get(id_, -1) for id_ in ids), dtype=np.int32)

    def parse(self, texts: Iterable[str]) -> list[Any]:
        """Return the id that each text writes: a whole number where the ids are, else the text.

        >>> IdMap([7, 8]).parse(["7", "007", "x"]), IdMap(["7"]).parse(["7"])
        ([7, '007', 'x'], ['7'])
        """
        whole = bool(self._ids) and isinstance(self._ids[0], int)
        return [int(text) if whole and _is_whole(text) else text for text in texts]

    def to_ids(self, idx: Iterable[int]) -> list[Any]:
        """Return the id of each idx (0..n-1)."""
        return [self._ids[i] for i in idx]

    def add(self, ids: Iterable[Any]) -> IdxArray:
        """Return the idx of each id, appending those that are new."""
        index = self._index
        for id_ in ids if isinstance(ids, Sequence) else (ids := list(ids)):
            if id_ not in index:
                index[id_] = len(self._ids)
                self._ids.append(id_)
        return self.to_idx(ids)

    def subset(self, idx: AnyArray) -> IdMap:
        """Return a new map of the ids at `idx`, renumbered in that order."""
        return IdMap(self.to_ids(idx.tolist()))


def _is_whole(text: str) -> bool:
    """Whether a text is a whole number of 64 bits as it is usually written."""
    return len(text) <= 20 and text.removeprefix("-").isdecimal() and str(int(text)) == text


def _span(values: AnyArray) -> int:
    return int(values.max()) - int(values.min())
