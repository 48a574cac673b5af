"""Who did what, when: four parallel columns, immutable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recexp.arrays import AnyArray, BoolArray, Float32Array, IdxArray, IntArray, Sparse
from recexp.errors import DataError


@dataclass(frozen=True, eq=False)
class Interactions:
    """User-item interactions as columns of one length, checked on construction.

    Attributes:
        user_idx: int32, 0 <= user_idx < n_users.
        item_idx: int32, 0 <= item_idx < n_items.
        value: float32, finite: the rating, or a strength (1 without ratings).
        timestamp: int64 seconds since 1970 UTC, or None when the source has no time.
        n_users, n_items: the sizes of the id spaces, not of what occurs here.

    Raises DataError for columns of different lengths, idx out of range, or values not finite.
    """

    user_idx: IdxArray
    item_idx: IdxArray
    value: Float32Array
    timestamp: IntArray | None
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            column = getattr(self, name)
            if column is None and name == "timestamp":
                continue
            column = np.ascontiguousarray(column, dtype=dtype)
            if column is getattr(self, name) and column.flags.writeable:
                column = column.view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
            if column.shape != (len(self.user_idx),):
                raise DataError(
                    f"interactions: column {name} has shape {column.shape}, "
                    f"expected ({len(self.user_idx)},)"
                )
        for name, size in (("user_idx", self.n_users), ("item_idx", self.n_items)):
            column = getattr(self, name)
            if len(column) and (column.min() < 0 or column.max() >= size):
                raise DataError(
                    f"interactions: {name} spans {column.min()}..{column.max()}, "
                    f"expected 0..{size - 1}"
                )
        if not np.isfinite(self.value).all():
            raise DataError(
                f"interactions: {int((~np.isfinite(self.value)).sum())} values are not finite"
            )

    def __len__(self) -> int:
        return len(self.user_idx)

    def select(self, rows: BoolArray | AnyArray) -> Interactions:
        """Return the interactions at `rows` (a mask or positions), in that order."""
        return Interactions(
            self.user_idx[rows],
            self.item_idx[rows],
            self.value[rows],
            None if self.timestamp is None else self.timestamp[rows],
            self.n_users,
            self.n_items,
        )

    def csr(self, weights: Literal["value", "ones"] = "value") -> Sparse:
        """Return a float32 `csr_array` (n_users, n_items) with sorted indices.

        Repeated pairs are summed with `weights="value"` and stay 1 with `weights="ones"`.
        """
        from scipy.sparse import csr_array

        data = self.value if weights == "value" else np.ones(len(self), np.float32)
        shape = (self.n_users, self.n_items)
        matrix = csr_array((data, (self.user_idx, self.item_idx)), shape=shape)
        matrix.sum_duplicates()
        if weights == "ones":
            matrix.data[:] = 1.0
        return matrix

    def users(self) -> IdxArray:
        """Return the distinct users that occur, ascending."""
        return np.flatnonzero(self.user_counts()).astype(np.int32)

    def items(self) -> IdxArray:
        """Return the distinct items that occur, ascending."""
        return np.flatnonzero(self.item_counts()).astype(np.int32)

    def user_counts(self) -> IntArray:
        """Return the number of interactions of each user, int64 (n_users,)."""
        return np.bincount(self.user_idx, minlength=self.n_users)

    def item_counts(self) -> IntArray:
        """Return the number of interactions of each item, int64 (n_items,)."""
        return np.bincount(self.item_idx, minlength=self.n_items)


_DTYPES: dict[str, Any] = {
    "user_idx": np.int32,
    "item_idx": np.int32,
    "value": np.float32,
    "timestamp": np.int64,
}
