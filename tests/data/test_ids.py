"""Ids against idx."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.ids import IdMap
from recexp.errors import DataError

SMALL = st.lists(st.integers(-50, 50), min_size=1)
WIDE = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(SMALL | WIDE, st.sampled_from([np.int64, np.int32, np.int8]))
def test_integers_are_numbered_in_their_order(
    values: list[int], dtype: type[np.signedinteger]
) -> None:
    info = np.iinfo(dtype)
    array = np.array([max(info.min, min(info.max, value)) for value in values], dtype)
    ids, idx = IdMap.factorize(array)
    assert list(ids.ids) == sorted(set(array.tolist()))
    assert all(type(id_) is int for id_ in ids.ids)
    assert ids.to_ids(idx.tolist()) == array.tolist()
    assert idx.dtype == np.int32


def test_unsigned_integers_keep_their_size() -> None:
    ids, idx = IdMap.factorize(np.array([2**64 - 1, 5, 2**64 - 1], np.uint64))
    assert list(ids.ids) == [5, 2**64 - 1]
    assert idx.tolist() == [1, 0, 1]


@pytest.mark.parametrize("dtype", [object, str])
def test_texts_are_not_interpreted(dtype: type) -> None:
    ids, idx = IdMap.factorize(np.array(["7", "007", "NA", "7"], dtype))
    assert list(ids.ids) == ["007", "7", "NA"]
    assert idx.tolist() == [1, 0, 2, 1]


def test_mixed_types_are_refused() -> None:
    with pytest.raises(DataError, match=r"mixed or unusable types \(int, str\)"):
        IdMap.factorize(np.array(["7", 7], object))


def test_an_unknown_id_is_minus_one() -> None:
    ids = IdMap(["a", "b"])
    assert ids.to_idx(["b", "z", "a"]).tolist() == [1, -1, 0]
    assert "a" in ids
    assert "z" not in ids


def test_added_ids_move_no_other() -> None:
    ids = IdMap(["b", "a"])
    assert ids.add(["c", "a", "c", "d"]).tolist() == [2, 1, 2, 3]
    assert list(ids.ids) == ["b", "a", "c", "d"]


def test_an_id_map_has_each_id_once() -> None:
    with pytest.raises(DataError, match="1 ids occur twice"):
        IdMap(["a", "b", "a"])


def test_a_subset_is_numbered_anew() -> None:
    assert list(IdMap(["a", "b", "c"]).subset(np.array([2, 0])).ids) == ["c", "a"]


def test_a_number_that_no_id_can_be_stays_a_text() -> None:
    for text in ("9" * 21, "9" * 5_000, "-" + "9" * 20, "", "-", "--7", "٧"):
        assert IdMap([7]).parse([text]) == [text]
    assert IdMap([7]).parse([str(-(2**63))]) == [-(2**63)]
