"""The profile of a dataset, against hand calculation and naive counting."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.data.features import one_hot
from recexp.profiling.dataset import gini, lorenz, profile

DAY = 86_400


@pytest.fixture
def toy() -> Dataset:
    """User a: x 5, y 3, z 4 (twice); b: x 1; c: x 4."""
    dataset = Dataset.from_columns(
        "toy",
        np.array(["a", "a", "a", "a", "b", "c"]),
        np.array(["x", "y", "z", "z", "x", "x"]),
        np.array([5, 3, 4, 4, 1, 4]),
        np.array([0, 1, 2, 3, 4, 10]) * DAY,
        scale=(1, 5),
    )
    return replace(
        dataset,
        item_columns={"title": ("X", "", "Z")},
        user_features=one_hot(["f", "m", "f"], "gender"),
    )


def test_the_sizes_are_of_what_occurs(toy: Dataset) -> None:
    found = profile(toy)
    assert (found["n_interactions"], found["n_users"], found["n_items"]) == (6, 3, 3)
    assert found["density"] == pytest.approx(5 / 9)  # distinct pairs
    assert found["repeated_pairs"] == 1
    part = profile(toy.with_interactions(toy.interactions.select(np.array([0, 1]))))
    assert (part["n_users"], part["idle_users"]) == (1, 2)
    assert (part["n_items"], part["idle_items"]) == (2, 1)


def test_ratings_are_described(toy: Dataset) -> None:
    values = profile(toy)["values"]
    assert values["mean"] == pytest.approx(21 / 6)
    assert values["std"] == pytest.approx(np.std([5, 3, 4, 4, 1, 4]))
    assert values["quartiles"] == [3, 4, 4]
    assert values["positive_share"] == pytest.approx(4 / 6)  # from 4 on
    assert values["distribution"] == {"values": [1, 3, 4, 5], "counts": [1, 1, 3, 1]}


def test_many_distinct_values_are_counted_in_bins() -> None:
    numbers = np.arange(200) / 2
    data = Dataset.from_columns("d", np.arange(200), np.arange(200), numbers, scale=(0, 100))
    shown = profile(data)["values"]["distribution"]
    assert len(shown["edges"]) == 21
    assert shown["counts"] == [10] * 20


def test_activity_is_described(toy: Dataset) -> None:
    users, items = profile(toy)["users"], profile(toy)["items"]
    assert (users["mean"], users["median"], users["min"], users["max"]) == (2, 1, 1, 4)
    assert users["few_share"] == 1.0
    assert users["gini"] == pytest.approx(1 / 3)  # 1, 1, 4: ((-2) + 0 + 2 * 4) / (3 * 6)
    assert users["distribution"] == {"edges": [1, 2, 4, 8], "counts": [2, 0, 1]}
    assert items["gini"] == pytest.approx((-2 * 1 + 2 * 3) / (3 * 6))  # 1, 2, 3


def test_the_head_is_the_most_popular_fifth() -> None:
    items = np.repeat(np.arange(10), [30, 20, 10, 10, 10, 5, 5, 5, 4, 1])
    data = Dataset.from_columns("d", np.arange(100), items)
    found = profile(data)["items"]
    assert found["head_share"] == pytest.approx(0.5)
    assert found["few_share"] == pytest.approx(0.2)
    assert found["lorenz"][:11:10] == [0, 0.3]
    assert found["lorenz"][-1] == 1


def test_time_is_described(toy: Dataset) -> None:
    found = profile(toy)["time"]
    assert (found["first"], found["last"]) == ("1970-01-01 00:00:00", "1970-01-11 00:00:00")
    assert found["days"] == 10
    assert found["per_day"] == pytest.approx(0.6)
    assert sum(found["distribution"]["counts"]) == 6


def test_data_without_ratings_and_time_have_none() -> None:
    found = profile(Dataset.from_columns("d", np.array([1, 2]), np.array([1, 1])))
    assert found["values"] is None
    assert found["time"] is None
    assert found["items"]["gini"] == 0


def test_one_moment_is_a_time_too() -> None:
    found = profile(Dataset.from_columns("d", np.array([1, 2]), np.array([1, 1]), None, np.ones(2)))
    assert found["time"]["days"] == 0
    assert found["time"]["per_day"] == 2
    assert sum(found["time"]["distribution"]["counts"]) == 2


def test_columns_and_features_are_counted(toy: Dataset) -> None:
    found = profile(toy)
    assert found["item_columns"] == {"title": {"known": pytest.approx(2 / 3), "distinct": 2}}
    assert (found["user_features"], found["item_features"]) == (2, 0)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    n = len(counts)
    difference = sum(abs(a - b) for a in counts for b in counts) / n**2
    assert gini(np.array(counts)) == pytest.approx(difference / (2 * sum(counts) / n), abs=1e-12)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_the_lorenz_curve_holds_what_the_largest_hold(counts: list[int]) -> None:
    curve = lorenz(np.array(counts), len(counts))
    largest = sorted(counts, reverse=True)
    expected = [sum(largest[:i]) / sum(counts) for i in range(len(counts) + 1)]
    np.testing.assert_allclose(curve, expected, atol=1e-12)


def test_a_profile_is_json_and_quick(movielens: Dataset) -> None:
    start = time.perf_counter()
    found = profile(movielens)
    assert time.perf_counter() - start < 0.5  # 10 ms on an idle machine
    assert json.loads(json.dumps(found)) == found
    assert found["users"]["min"] == 20  # as the data's own README says
    assert found["values"]["distribution"]["counts"] == [6110, 11370, 27145, 34174, 21201]
