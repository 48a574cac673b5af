"""Side features from categories, lists and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.data.features import binned, multi_hot, one_hot, stack
from recexp.errors import DataError


def test_each_value_is_a_column_and_unknown_is_a_row_of_zeros() -> None:
    features = one_hot(["red", "", "blue", "red"], "color")
    assert features.names == ("color=blue", "color=red")
    assert features.matrix.toarray().tolist() == [[0, 1], [0, 0], [1, 0], [0, 1]]
    assert features.matrix.dtype == np.float32


def test_a_list_sets_all_its_values_once() -> None:
    features = multi_hot([["b", "a"], [], ["b", "b"]], "tag")
    assert features.names == ("tag=a", "tag=b")
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 0], [0, 1]]


def test_nothing_known_of_anybody_is_no_columns() -> None:
    for features in (one_hot(["", ""], "x"), binned(np.array([np.nan, np.nan]), [1], "x")):
        assert features.matrix.shape == (2, 0)
        assert features.names == ()


def test_bins_contain_their_lower_edge() -> None:
    features = binned(np.array([17, 18, 24, 25, np.nan]), [18, 25, 35], "age")
    assert features.names == ("age=<18", "age=[18,25)", "age=[25,35)")
    expected = [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert features.matrix.toarray().tolist() == expected


def test_the_outer_bins_are_open() -> None:
    assert binned(np.array([-9, 35, 99]), [18, 35], "age").names == ("age=<18", "age=>=35")


def test_stacked_features_stand_side_by_side() -> None:
    features = stack(one_hot(["a", "b"], "x"), one_hot(["", "c"], "y"))
    assert features.names == ("x=a", "x=b", "y=c")
    assert features.matrix.toarray().tolist() == [[1, 0, 0], [0, 1, 1]]
    with pytest.raises(DataError, match=r"features of \[1, 2\] rows"):
        stack(one_hot(["a"], "x"), one_hot(["a", "b"], "y"))
