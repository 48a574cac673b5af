"""The canonical order of rows, by both ways to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.arrays import AnyArray
from recexp.data import order, order_compiled
from recexp.data.order import canonical_order, in_canonical_order

SIZES = st.integers(1, 5) | st.integers(1, 3000) | st.just(2**31 - 1)


def drawn(
    n: int, n_users: int, n_items: int, seed: int
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    rng = np.random.default_rng(seed)
    # Few values and times, so that many rows differ in one of them only, or in nothing.
    users, items = rng.integers(0, n_users, n), rng.integers(0, n_items, n)
    values, times = rng.integers(-2, 3, n) / 2, rng.integers(-3, 4, n)
    return users.astype(np.int32), items.astype(np.int32), values.astype(np.float32), times


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    *(st.integers(1, 300), SIZES, SIZES, st.integers(0, 99), st.booleans()),
    *(st.sampled_from([1, 7, 1 << 15]), st.booleans()),
)
def test_rows_come_by_user_item_time_and_value_however_they_are_sorted(
    n: int, n_users: int, n_items: int, seed: int, timed: bool, part: int, compiled: bool
) -> None:
    users, items, values, times = drawn(n, n_users, n_items, seed)
    expected = np.lexsort((values, times if timed else np.zeros(n), items, users))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "COMPILED", 0 if compiled else 1 << 40)
        patch.setattr(order_compiled, "PART", part)
        found = in_canonical_order(users, items, values, times if timed else None, n_users, n_items)
    for column, source in zip(found, (users, items, values, times), strict=True):
        if column is None:
            assert not timed
        else:
            np.testing.assert_array_equal(column, source[expected])
            assert column.dtype == source.dtype


def test_many_rows_are_sorted_as_few_are() -> None:
    n = 1_100_000
    users, items, values, times = drawn(n, 5000, 3000, 1)
    users[: n // 3] = 17  # far more than a part should have
    before = [column.copy() for column in (users, items, values, times)]
    found = in_canonical_order(users, items, values, times, 5000, 3000)
    expected = np.lexsort((values, times, items, users))
    for column, source, old in zip(found, (users, items, values, times), before, strict=True):
        assert column is not None
        np.testing.assert_array_equal(column, source[expected])
        np.testing.assert_array_equal(source, old)


def test_positions_are_those_of_the_sorted_rows() -> None:
    users, items, values, times = drawn(200_000, 300, 50, 2)
    found = canonical_order(users, items, times, values, 50)
    expected = np.lexsort((values, times, items, users))
    np.testing.assert_array_equal(values[found], values[expected])
    np.testing.assert_array_equal(times[found], times[expected])


def test_what_does_not_fit_a_number_goes_the_other_way() -> None:
    assert order_compiled.fits(1 << 25, 1 << 20, 1 << 20)
    assert not order_compiled.fits(1 << 31, 1 << 31, 1 << 31)
