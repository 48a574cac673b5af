"""Side features from categories, lists and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recexp.data.features import (
    binned,
    multi_hot,
    numbers,
    one_hot,
    quantile_edges,
    scaled,
    stack,
    text,
)
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


def test_a_text_becomes_its_weighted_terms() -> None:
    features = text(["cat cat dog", "dog"])
    cat, dog = (1 + np.log(2)) * (np.log(3 / 2) + 1), 1 * (np.log(3 / 3) + 1)
    length = np.hypot(cat, dog)
    assert features.names == ("text=cat", "text=dog")
    expected = [[cat / length, dog / length], [0, 1]]
    np.testing.assert_allclose(features.matrix.toarray(), expected, rtol=1e-6)


TEXTS = ["The cat sat. The cat!", "", "a DOG, the cats", "Über-cat no. 42", "dog dog dog"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ngram_max": 2, "sublinear_tf": False},
        {"ngram_min": 2, "ngram_max": 3},
        {"min_df": 2},
        {"analyzer": "char_wb", "ngram_min": 2, "ngram_max": 6},
    ],
    ids=str,
)
def test_texts_become_what_scikit_learn_makes_of_them(options: dict[str, Any]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    mine = text(TEXTS, "t", **options)
    theirs = TfidfVectorizer(
        analyzer=options.get("analyzer", "word"),
        ngram_range=(options.get("ngram_min", 1), options.get("ngram_max", 1)),
        sublinear_tf=options.get("sublinear_tf", True),
        min_df=options.get("min_df", 1),
    )
    expected = theirs.fit_transform(TEXTS).toarray()
    assert list(mine.names) == [f"t={term}" for term in theirs.get_feature_names_out()]
    np.testing.assert_allclose(mine.matrix.toarray(), expected, atol=1e-6)
    assert mine.matrix.dtype == np.float32


def test_the_most_frequent_terms_are_kept_and_texts_of_none_are_zeros() -> None:
    features = text(TEXTS, max_features=2)
    assert features.names == ("text=cat", "text=dog")  # 3 and 4 times; `the` 3 times, but later
    assert features.matrix.toarray()[1].tolist() == [0, 0]
    assert text(["", "!"]).matrix.shape == (2, 0)


def test_quantile_bins_hold_about_as_many_each() -> None:
    assert quantile_edges(np.arange(8), 4) == [2, 4, 6]
    assert quantile_edges(np.array([5, 5, np.nan]), 4) == []
    assert quantile_edges(np.array([np.nan]), 4) == []


def test_scaling_centers_on_what_is_known() -> None:
    features = scaled(np.array([1, 3, np.nan]), "price")
    assert features.names == ("price",)
    assert features.matrix.toarray().tolist() == [[-1], [1], [0]]
    low = scaled(np.array([2, 4, 10, np.nan]), "price", "minmax").matrix.toarray()
    assert low.ravel().tolist() == [0, 0.25, 1, 0]
    assert scaled(np.array([7, 7]), "price").matrix.toarray().tolist() == [[0], [0]]


def test_only_plain_numbers_are_numbers() -> None:
    found = numbers(["1", " 2.5", "-3e2", "", "1_000", "1e999", "nan", "12a"])
    np.testing.assert_array_equal(found, [1, 2.5, -300, *[np.nan] * 5])
