"""A dataset: interactions, what is known of users and items, and where it all came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, IdxArray, Sparse
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.data.order import canonical_order as canonical_order
from recexp.data.order import in_canonical_order
from recexp.errors import DataError


@dataclass(frozen=True, eq=False)
class Features:
    """Side features: one row a user or item, one named column a feature.

    `matrix` is a float32 `csr_array` (n_rows, n_columns); `names` reads `group=value`
    (`genre=Comedy`). A row of zeros says that nothing is known.
    """

    matrix: Sparse
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.matrix.shape[1] != len(self.names):
            raise DataError(f"features: {self.matrix.shape[1]} columns but {len(self.names)} names")

    def rows(self, idx: AnyArray) -> Features:
        """Return the features of the rows at `idx`, in that order."""
        return Features(self.matrix[idx], self.names)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything an algorithm may learn from, or the whole that a split divides.

    Attributes:
        name: for people, such as `movielens-100k`.
        interactions: in canonical order (user, item, timestamp).
        users, items: id maps; their sizes are those of `interactions`.
        scale: (lowest, highest) rating, or None for implicit feedback.
        relevance_threshold: the value from which an interaction counts as positive; None when
            every interaction does (no ratings).
        user_features, item_features: side features, or None.
        user_columns, item_columns: what the source says of users and items, as text by column
            name (`title`, `genres`, ...), in idx order; empty text where nothing is known.
        facts: source, licence, citation, counted repairs; plain JSON values.
    """

    name: str
    interactions: Interactions
    users: IdMap
    items: IdMap
    scale: tuple[float, float] | None = None
    relevance_threshold: float | None = None
    user_features: Features | None = None
    item_features: Features | None = None
    user_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    item_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for side, ids in (("user", self.users), ("item", self.items)):
            size = getattr(self.interactions, f"n_{side}s")
            if len(ids) != size:
                raise DataError(f"{self.name}: {len(ids)} {side} ids for {size} {side}s")
            features = getattr(self, f"{side}_features")
            if features is not None and features.matrix.shape[0] != size:
                raise DataError(
                    f"{self.name}: {features.matrix.shape[0]} rows of {side} features "
                    f"for {size} {side}s"
                )
            for name, column in getattr(self, f"{side}_columns").items():
                if len(column) != size:
                    raise DataError(f"{self.name}: {side} column {name} has {len(column)} rows")

    @classmethod
    def from_columns(
        cls,
        name: str,
        user_ids: AnyArray,
        item_ids: AnyArray,
        values: AnyArray | None = None,
        timestamps: AnyArray | None = None,
        *,
        scale: tuple[float, float] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Return a dataset of parallel columns, independent of the order of the rows.

        `values` default to 1. With a scale, the relevance threshold is `default_threshold(scale)`.
        Raises DataError when there is no row.
        """
        users, user_idx = IdMap.factorize(user_ids)
        items, item_idx = IdMap.factorize(item_ids)
        return cls.from_indices(
            name, users, user_idx, items, item_idx, values, timestamps, scale=scale, facts=facts
        )

    @classmethod
    def from_indices(
        cls,
        name: str,
        users: IdMap,
        user_idx: AnyArray,
        items: IdMap,
        item_idx: AnyArray,
        values: AnyArray | None = None,
        timestamps: AnyArray | None = None,
        *,
        scale: tuple[float, float] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Return a dataset of parallel columns whose ids are already idx into the maps.

        As `from_columns`; idx depend on the maps, which are best in sorted order.
        """
        if len(user_idx) == 0:
            raise DataError(f"{name} has no interactions; expected at least one row")
        values = np.ones(len(user_idx), np.float32) if values is None else values
        sizes = len(users), len(items)
        columns = in_canonical_order(user_idx, item_idx, values, timestamps, *sizes)
        interactions = Interactions(*columns, *sizes)
        threshold = None if scale is None else default_threshold(scale)
        return cls(name, interactions, users, items, scale, threshold, facts=facts or {})

    @property
    def n_users(self) -> int:
        return self.interactions.n_users

    @property
    def n_items(self) -> int:
        return self.interactions.n_items

    @property
    def explicit(self) -> bool:
        """Whether the values are ratings."""
        return self.scale is not None

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """Return this dataset with other interactions over the same users and items."""
        return replace(self, interactions=interactions)

    def positives(self, threshold: float | None = None) -> Interactions:
        """Return the positive interactions: value >= `threshold` (the dataset's own by default).

        Without ratings every interaction is positive.
        """
        threshold = self.relevance_threshold if threshold is None else threshold
        if not self.explicit or threshold is None:
            return self.interactions
        return self.interactions.select(self.interactions.value >= np.float32(threshold))

    def compact(self, rows: BoolArray) -> Dataset:
        """Return the dataset of the interactions at `rows` and of the users and items in them.

        Users and items without an interaction leave the id maps, features and columns: what is
        not there is not a candidate. The canonical order is kept.
        """
        kept = self.interactions.select(rows)
        users, items = kept.users(), kept.items()
        interactions = Interactions(
            _renumber(users, self.n_users)[kept.user_idx],
            _renumber(items, self.n_items)[kept.item_idx],
            kept.value,
            kept.timestamp,
            len(users),
            len(items),
        )
        return replace(
            self,
            interactions=interactions,
            users=self.users.subset(users),
            items=self.items.subset(items),
            user_features=None if self.user_features is None else self.user_features.rows(users),
            item_features=None if self.item_features is None else self.item_features.rows(items),
            user_columns=_pick(self.user_columns, users),
            item_columns=_pick(self.item_columns, items),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content: ids, interactions, scale, features, columns; not of the facts."""
        digest = hashlib.sha256(repr((self.scale, self.relevance_threshold)).encode())
        for ids in (self.users, self.items):
            digest.update(repr(list(ids.ids)).encode())
        digest.update(fingerprint(self.interactions).encode())
        for features in (self.user_features, self.item_features):
            if features is not None:
                digest.update(repr(features.names).encode())
                for part in (features.matrix.indptr, features.matrix.indices, features.matrix.data):
                    _hash(digest, part)
        for columns in (self.user_columns, self.item_columns):
            digest.update(repr(sorted(columns.items())).encode())
        return digest.hexdigest()


def default_threshold(scale: tuple[float, float]) -> float:
    """Return the value from which a rating counts as positive: three quarters up the scale.

    4.0 on 1-5 ratings (METRICS: the default), also on the half-star scale 0.5-5, whose stars mean
    the same; 7.75 on 1-10.
    """
    low, high = scale
    return 4.0 if high == 5 and low in (0.5, 1.0) else low + 0.75 * (high - low)


def fingerprint(interactions: Interactions) -> str:
    """Return the SHA-256 of the columns and sizes of `interactions`."""
    digest = hashlib.sha256(repr((interactions.n_users, interactions.n_items)).encode())
    for name in ("user_idx", "item_idx", "value", "timestamp"):
        column = getattr(interactions, name)
        if column is None:
            digest.update(name.encode())
        else:
            _hash(digest, column)
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, array: AnyArray) -> None:
    """Add an array, the same on machines of either byte order and index width."""
    kind = {"i": "<i8", "u": "<i8", "f": "<f4" if array.dtype.itemsize == 4 else "<f8"}
    dtype = kind[array.dtype.kind]
    # In blocks: the columns of 20 million interactions would be copied whole.
    for start in range(0, len(array), 1 << 20):
        digest.update(np.ascontiguousarray(array[start : start + (1 << 20)], dtype=dtype).data)


def _renumber(kept: IdxArray, size: int) -> IdxArray:
    new = np.full(size, -1, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    return new


def _pick(columns: Mapping[str, tuple[str, ...]], idx: IdxArray) -> dict[str, tuple[str, ...]]:
    positions = idx.tolist()
    return {name: tuple(column[i] for i in positions) for name, column in columns.items()}
