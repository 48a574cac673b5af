"""Preprocessing: what stays, what goes, and what is told of it."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.data.features import one_hot
from recexp.data.preprocess import (
    StepReport,
    apply,
    binarize,
    deduplicate,
    k_core,
    minimum_value,
    sample,
    time_range,
)
from recexp.errors import ConfigError, DataError
from recexp.rng import derive

Row = tuple[str, str, float, int]
ROWS: list[Row] = [
    ("a", "x", 5, 10),
    ("a", "y", 3, 20),
    ("b", "x", 4, 30),
    ("b", "x", 2, 40),
    ("c", "z", 1, 50),
]


def dataset(rows: list[Row] = ROWS) -> Dataset:
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset.from_columns("toy", users, items, values, times, scale=(1, 5))


def left(result: Dataset) -> list[tuple[str, str, float]]:
    it = result.interactions
    return [
        (result.users.ids[u], result.items.ids[i], v)
        for u, i, v in zip(it.user_idx, it.item_idx, it.value.tolist(), strict=True)
    ]


def test_the_last_of_repeated_pairs_stays() -> None:
    assert left(deduplicate(dataset())) == [
        ("a", "x", 5),
        ("a", "y", 3),
        ("b", "x", 2),
        ("c", "z", 1),
    ]
    assert left(deduplicate(dataset(), keep="first"))[2] == ("b", "x", 4)
    with pytest.raises(ConfigError, match=r"preprocess.deduplicate.keep=best: expected first or"):
        deduplicate(dataset(), keep="best")  # type: ignore[arg-type]


def test_deduplication_does_not_depend_on_the_order_of_rows() -> None:
    assert deduplicate(dataset(ROWS[::-1])).fingerprint == deduplicate(dataset()).fingerprint


def test_a_threshold_keeps_what_reaches_it_and_the_scale() -> None:
    result = minimum_value(dataset(), 3)
    assert left(result) == [("a", "x", 5), ("a", "y", 3), ("b", "x", 4)]
    assert result.scale == (1, 5)
    assert list(result.items.ids) == ["x", "y"]  # z is no candidate any more


def test_binarized_data_are_implicit() -> None:
    result = binarize(dataset())  # 4 is relevant on 1 to 5
    assert left(result) == [("a", "x", 1), ("b", "x", 1)]
    assert (result.scale, result.relevance_threshold) == (None, None)
    assert len(binarize(dataset(), threshold=3).interactions) == 3
    assert left(binarize(result)) == left(result)


def test_a_k_core_takes_turns_until_nothing_changes() -> None:
    # b loses y (1 user), then has 1 item, goes; then x has 2 users left: a and c.
    rows = [("a", "x"), ("a", "z"), ("b", "x"), ("b", "y"), ("c", "x"), ("c", "z")]
    result = k_core(dataset([(u, i, 3, 0) for u, i in rows]), users=2, items=2)
    assert [(u, i) for u, i, _ in left(result)] == [("a", "x"), ("a", "z"), ("c", "x"), ("c", "z")]


def test_a_k_core_can_ask_of_one_side_only() -> None:
    assert list(k_core(dataset(), users=2, items=1).users.ids) == ["a", "b"]
    assert list(k_core(dataset(), users=0, items=2).items.ids) == ["x"]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_a_k_core_is_the_largest_part_that_has_enough(
    pairs: set[tuple[int, int]], users: int, items: int
) -> None:
    expected = set(pairs)
    while True:  # one removal at a time
        lacking = next(
            (
                (u, i)
                for u, i in expected
                if sum(u == v for v, _ in expected) < users
                or sum(i == j for _, j in expected) < items
            ),
            None,
        )
        if lacking is None:
            break
        expected.remove(lacking)
    given_ = dataset([(f"u{u}", f"i{i}", 3, 0) for u, i in pairs])
    result = k_core(given_, users=users, items=items)
    assert {(int(u[1:]), int(i[1:])) for u, i, _ in left(result)} == expected


def test_a_sample_of_users_keeps_all_they_did() -> None:
    rows = [(f"u{u}", f"i{i}", 3.0, 0) for u in range(40) for i in range(u % 3 + 1)]
    result = sample(dataset(rows), 0.25, rng=derive(1, "sample"))
    assert result.n_users == 10
    counts = dict(zip(result.users.ids, result.interactions.user_counts().tolist(), strict=True))
    assert all(count == int(user[1:]) % 3 + 1 for user, count in counts.items())


def test_a_sample_of_interactions_is_that_share_of_them_and_seeded() -> None:
    rows = [(f"u{u}", f"i{i}", 3.0, 0) for u in range(10) for i in range(10)]
    draw = functools.partial(sample, dataset(rows), 0.3, "interactions")
    assert len(draw(rng=derive(1, "a")).interactions) == 30
    assert draw(rng=derive(1, "a")).fingerprint == draw(rng=derive(1, "a")).fingerprint
    assert draw(rng=derive(1, "a")).fingerprint != draw(rng=derive(2, "a")).fingerprint


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1])
def test_a_sample_needs_a_fraction(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"preprocess.sample.fraction=.*: expected above 0"):
        sample(dataset(), fraction, rng=derive(1))


def test_a_time_range_has_its_start_and_not_its_end() -> None:
    times = time_range(dataset(), 20, 40).interactions.timestamp
    assert times is not None
    assert times.tolist() == [20, 30]
    assert len(time_range(dataset(), end=20).interactions) == 1
    assert len(time_range(dataset()).interactions) == 5


def test_a_time_range_takes_dates() -> None:
    day = 24 * 3600
    data = dataset([("a", "x", 3, 0), ("a", "y", 3, day), ("b", "x", 3, 2 * day)])
    assert len(time_range(data, "1970-01-02").interactions) == 2
    assert len(time_range(data, "1970-01-02", "1970-01-02T12:00").interactions) == 1
    assert len(time_range(data, end="1970-01-02T01:00+01:00").interactions) == 1
    with pytest.raises(ConfigError, match=r"time_range.start=yesterday: expected seconds"):
        time_range(data, "yesterday")


def test_a_time_range_without_times_says_what_to_do() -> None:
    data = Dataset.from_columns("toy", np.array(["a"]), np.array(["x"]))
    with pytest.raises(DataError, match=r"toy has no timestamps, .* dataset.columns.timestamp"):
        time_range(data, 0)


def test_columns_and_features_follow_the_users_and_items_that_stay() -> None:
    from dataclasses import replace

    data = replace(
        dataset(), item_columns={"title": ("X", "Y", "Z")}, item_features=one_hot("pqr", "g")
    )
    result = k_core(data, users=1, items=2)
    assert result.item_columns["title"] == ("X",)
    assert result.item_features is not None
    assert result.item_features.matrix.toarray().tolist() == [[1, 0, 0]]


def test_steps_are_applied_in_order_and_each_is_reported() -> None:
    steps = {
        "deduplicate": deduplicate,
        "minimum_value": functools.partial(minimum_value, threshold=3),
        "sample": functools.partial(sample, fraction=1.0),
    }
    result, reports = apply(dataset(), steps, derive(1, "preprocess"))
    assert left(result) == [("a", "x", 5), ("a", "y", 3)]
    assert reports == [
        StepReport("deduplicate", (5, 3, 3), (4, 3, 3)),
        StepReport("minimum_value", (4, 3, 3), (2, 1, 2)),
        StepReport("sample", (2, 1, 2), (2, 1, 2)),
    ]
    assert str(reports[1]) == "minimum_value: 4 -> 2 interactions, 3 -> 1 users, 3 -> 2 items"


def test_a_step_that_leaves_nothing_is_named_with_what_it_was_given() -> None:
    with pytest.raises(
        DataError,
        match=r"preprocess\.k_core leaves nothing \(k_core: 5 -> 0 interactions, 3 -> 0 users, "
        r"3 -> 0 items\)",
    ):
        apply(dataset(), {"k_core": k_core}, derive(1))


def test_no_steps_change_nothing() -> None:
    data = dataset()
    assert apply(data, {}, derive(1)) == (data, [])
