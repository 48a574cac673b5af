"""The canonical order of rows: by user, item, timestamp and value, however they came."""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray, IntArray
from recexp.data.compiled import available

COUNTED = 1 << 17
"""Rows from which counting is faster than comparing."""
COMPILED = 1 << 20
"""Rows from which loading compiled functions takes less time than they save."""


def in_canonical_order(
    user_idx: AnyArray,
    item_idx: AnyArray,
    values: AnyArray,
    timestamps: AnyArray | None,
    n_users: int,
    n_items: int,
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray | None]:
    """Return the columns by user, item, timestamp and value, the same for any order of rows."""
    if _in_order(user_idx, item_idx):
        return user_idx, item_idx, values, timestamps
    n = len(user_idx)
    dtypes = [column.dtype for column in (user_idx, item_idx, values)]
    usual = dtypes == [np.int32, np.int32, np.float32]
    usual &= timestamps is None or timestamps.dtype == np.int64
    if usual and n >= COMPILED and available():
        from recexp.data.order_compiled import by_pair, fits

        if fits(n, n_users, n_items):
            columns = by_pair(user_idx, item_idx, values, timestamps, n_users, n_items)
            _order_repeated(*columns)
            return columns
    order = canonical_order(user_idx, item_idx, timestamps, values, n_items)
    timestamps = None if timestamps is None else timestamps[order]
    return user_idx[order], item_idx[order], values[order], timestamps


def canonical_order(
    user_idx: AnyArray,
    item_idx: AnyArray,
    timestamps: AnyArray | None,
    values: AnyArray,
    n_items: int,
) -> IntArray:
    """Positions in the order of (user, item, timestamp, value), the same for any order of rows."""
    pair = user_idx * np.int64(n_items) + item_idx
    if len(pair) > COUNTED:
        order = _argsort(user_idx, item_idx, n_items)
    else:
        order = np.argsort(pair, kind="stable")
    in_order = pair[order]
    same = in_order[1:] == in_order[:-1]
    if same.any():
        repeated = np.append(same, False) | np.append(False, same)
        rows = order[repeated]
        time = () if timestamps is None else (timestamps[rows],)
        order[repeated] = rows[np.lexsort((values[rows], *time, pair[rows]))]
    return order


def _in_order(user_idx: AnyArray, item_idx: AnyArray) -> bool:
    """Whether pairs are in order and differ, as in most published files; tells early if not."""
    for start in range(0, len(user_idx), COUNTED):
        rows = slice(start, start + COUNTED + 1)
        users, items = user_idx[rows], item_idx[rows]
        next_user = users[1:] > users[:-1]
        if not (next_user | ((users[1:] == users[:-1]) & (items[1:] > items[:-1]))).all():
            return False
    return True


def _argsort(user_idx: AnyArray, item_idx: AnyArray, n_items: int) -> IntArray:
    """Positions in the order of (user, item), by counting: several times faster than comparing.

    A matrix with one entry a row has its rows sorted by column in its compressed columns.
    """
    from scipy.sparse import csr_array

    def by(keys: AnyArray, n_keys: int) -> IntArray:
        n = len(keys)
        one_a_row = csr_array((np.ones(n, np.int8), keys, np.arange(n + 1)), shape=(n, n_keys))
        rows: IntArray = one_a_row.tocsc().indices
        return rows

    by_item = by(item_idx, n_items)
    return by_item[by(user_idx[by_item], int(user_idx.max()) + 1)]


def _order_repeated(
    user_idx: IdxArray, item_idx: IdxArray, values: Float32Array, timestamps: IntArray | None
) -> None:
    """Put the rows of each repeated pair in the order of timestamp and value, in place."""
    same = (user_idx[1:] == user_idx[:-1]) & (item_idx[1:] == item_idx[:-1])
    if same.any():
        rows = np.flatnonzero(np.append(same, False) | np.append(False, same))
        time = () if timestamps is None else (timestamps[rows],)
        order = rows[np.lexsort((values[rows], *time, item_idx[rows], user_idx[rows]))]
        values[rows] = values[order]
        if timestamps is not None:
            timestamps[rows] = timestamps[order]
