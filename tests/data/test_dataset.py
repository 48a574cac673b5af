"""Interactions and datasets: what they check, keep and promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset, default_threshold
from recexp.data.features import one_hot
from recexp.data.interactions import Interactions
from recexp.errors import DataError

ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)),
    min_size=1,
)


def interactions(**changes: Any) -> Interactions:
    columns: dict[str, Any] = {
        "user_idx": np.array([0, 1, 1], np.int32),
        "item_idx": np.array([0, 0, 2], np.int32),
        "value": np.array([5, 3, 4], np.float32),
        "timestamp": np.array([10, 20, 30]),
        "n_users": 2,
        "n_items": 3,
    }
    return Interactions(**{**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user_idx": np.array([0, 1, 2])}, r"user_idx spans 0..2, expected 0..1"),
        ({"item_idx": np.array([0, 0, -1])}, r"item_idx spans -1..0, expected 0..2"),
        ({"value": np.array([1.0, 2.0])}, r"column value has shape \(2,\), expected \(3,\)"),
        ({"value": np.array([1.0, np.nan, np.inf])}, "2 values are not finite"),
        ({"timestamp": np.array([1])}, "column timestamp has shape"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        interactions(**changes)


def test_interactions_cannot_be_changed_and_leave_their_source_alone() -> None:
    source = np.array([5, 3, 4], np.float32)
    it = interactions(value=source)
    with pytest.raises(ValueError, match="read-only"):
        it.value[0] = 1
    source[0] = 1  # still the caller's to write


def test_a_matrix_sums_repeated_pairs_or_counts_them_once() -> None:
    it = interactions(item_idx=np.array([0, 2, 2], np.int32))
    assert it.csr().toarray().tolist() == [[5, 0, 0], [0, 0, 7]]
    assert it.csr("ones").toarray().tolist() == [[1, 0, 0], [0, 0, 1]]


def test_who_occurs_and_how_often() -> None:
    it = interactions()
    assert it.users().tolist() == [0, 1]
    assert it.items().tolist() == [0, 2]
    assert it.user_counts().tolist() == [1, 2]
    assert it.item_counts().tolist() == [2, 0, 1]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(ROWS, st.booleans(), st.randoms(use_true_random=False))
def test_a_dataset_is_the_same_for_any_order_of_rows(
    rows: list[tuple[int, int, int, int]], timed: bool, random: Any
) -> None:
    def dataset(rows: list[tuple[int, int, int, int]]) -> Dataset:
        user, item, value, time = (np.array(column) for column in zip(*rows, strict=True))
        return Dataset.from_columns("x", user, item, value, time if timed else None, scale=(0, 2))

    shuffled = random.sample(rows, len(rows))
    assert dataset(rows).fingerprint == dataset(shuffled).fingerprint
    it = dataset(rows).interactions
    time = np.zeros(len(it), int) if it.timestamp is None else it.timestamp
    order = list(zip(it.user_idx, it.item_idx, time, it.value, strict=True))
    assert order == sorted(order)


def test_without_rows_there_is_no_dataset() -> None:
    with pytest.raises(DataError, match="x has no interactions; expected at least one row"):
        Dataset.from_columns("x", np.array([], int), np.array([], int))


@pytest.mark.parametrize(
    ("scale", "threshold"), [((1, 5), 4.0), ((0.5, 5), 4.0), ((1, 10), 7.75), ((0, 1), 0.75)]
)
def test_ratings_count_from_three_quarters_up(scale: tuple[float, float], threshold: float) -> None:
    assert default_threshold(scale) == threshold


@pytest.fixture
def dataset() -> Dataset:
    plain = Dataset.from_columns(
        "x", np.array(["a", "b", "b"]), np.array([7, 7, 9]), np.array([5, 3, 4]), scale=(1, 5)
    )
    return replace(
        plain,
        item_columns={"title": ("Seven", "Nine")},
        item_features=one_hot(["odd", "square"], "kind"),
        facts={"source": "here"},
    )


def test_positives_reach_the_threshold(dataset: Dataset) -> None:
    assert dataset.positives().value.tolist() == [5, 4]
    assert dataset.positives(5).value.tolist() == [5]
    implicit = replace(dataset, scale=None, relevance_threshold=None)
    assert len(implicit.positives()) == 3


def test_compacting_takes_along_what_is_known(dataset: Dataset) -> None:
    small = dataset.compact(np.array([False, False, True]))
    assert (list(small.users.ids), list(small.items.ids)) == (["b"], [9])
    assert small.interactions.user_idx.tolist() == [0]
    assert small.item_columns["title"] == ("Nine",)
    assert small.item_features is not None
    assert small.item_features.matrix.toarray().tolist() == [[0, 1]]


def test_the_fingerprint_sees_content_and_not_facts(dataset: Dataset) -> None:
    same = replace(dataset, facts={"source": "there"}, name="y")
    assert same.fingerprint == dataset.fingerprint
    changes: list[dict[str, Any]] = [
        {"scale": (1, 6)},
        {"relevance_threshold": 3.0},
        {"item_columns": {"title": ("Seven", "Ten")}},
        {"item_features": None},
        {"item_features": one_hot(["odd", "squared"], "kind")},
        {"interactions": replace(dataset.interactions, value=np.array([5, 3, 5], np.float32))},
        {"interactions": replace(dataset.interactions, timestamp=np.zeros(3, np.int64))},
    ]
    prints = {replace(dataset, **change).fingerprint for change in changes}
    assert len(prints | {dataset.fingerprint}) == len(changes) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_features": one_hot(["a"], "x")}, "1 rows of item features for 2 items"),
        ({"item_columns": {"title": ("Seven",)}}, "item column title has 1 rows"),
    ],
)
def test_parts_of_other_sizes_are_refused(
    dataset: Dataset, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        replace(dataset, **change)
