"""Users, or items, that training has never seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive
from recexp.splits.base import share
from recexp.splits.cold import Choose, cold_item, cold_user

few = settings(max_examples=60, deadline=None, derandomize=True)
ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(0, 20)), min_size=15, max_size=60
)


def dataset(rows: list[tuple[int, int, int]]) -> Dataset:
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset.from_columns("made", users, items, None, times)


@given(ROWS, st.sampled_from(["random", "time"]), st.floats(0.05, 0.95), st.integers(0, 5))
@few
def test_test_users_are_truly_cold(
    rows: list[tuple[int, int, int]], choose: Choose, fraction: float, seed: int
) -> None:
    data = dataset(rows)
    try:
        split = cold_user(data, derive(seed), test_fraction=fraction, choose=choose)
    except DataError:
        assume(False)
    train, test = split.train.interactions, split.test
    assert not set(train.users().tolist()) & set(test.users().tolist())
    if choose == "random":
        assert len(test.users()) == share(fraction, data.n_users)
    else:
        assert train.timestamp is not None
        assert test.timestamp is not None
        assert train.timestamp.max() < test.timestamp.min()


@given(ROWS, st.sampled_from(["random", "time"]), st.floats(0.05, 0.95), st.integers(0, 5))
@few
def test_test_items_are_truly_cold(
    rows: list[tuple[int, int, int]], choose: Choose, fraction: float, seed: int
) -> None:
    data = dataset(rows)
    try:
        split = cold_item(data, derive(seed), test_fraction=fraction, choose=choose)
    except DataError:
        assume(False)
    train, test = split.train.interactions, split.test
    assert not set(train.items().tolist()) & set(test.items().tolist())
    if choose == "random":
        assert len(test.items()) == share(fraction, data.n_items)
    else:
        assert train.timestamp is not None
        assert test.timestamp is not None
        assert train.timestamp.max() < test.timestamp.min()


def test_those_who_appear_last_are_tested_after_all_training() -> None:
    rows = [
        (1, 1, 10),
        (1, 2, 50),  # user 1 is known: dropped after the cutoff
        (2, 1, 20),
        (3, 1, 40),
        (3, 2, 60),
        (4, 1, 30),
    ]
    split = cold_user(dataset(rows), derive(1), test_fraction=0.25, choose="time")
    assert split.facts["cutoff_seconds"] == 40
    assert split.train.interactions.timestamp.tolist() == [10, 20, 30]
    assert split.test.timestamp.tolist() == [40, 60]
    assert split.facts["n_dropped"] == 1
    items = [(item, user, time) for user, item, time in rows]
    split = cold_item(dataset(items), derive(1), test_fraction=0.25, choose="time")
    assert split.test.timestamp.tolist() == [40, 60]


@given(ROWS, st.integers(1, 3), st.sampled_from(["random", "time"]))
@few
def test_the_earliest_of_a_cold_user_are_his_history(
    rows: list[tuple[int, int, int]], n_history: int, choose: Choose
) -> None:
    data = dataset(rows)
    try:
        split = cold_user(data, derive(1), test_fraction=0.4, n_history=n_history, choose=choose)
        whole = cold_user(data, derive(1), test_fraction=0.4, choose=choose).test
    except DataError:
        assume(False)
    assert split.history is not None
    given_counts = np.minimum(whole.user_counts(), n_history)
    assert split.history.user_counts().tolist() == given_counts.tolist()
    assert (split.test.user_counts() == whole.user_counts() - given_counts).all()
    n_left = int(((whole.user_counts() > 0) & (split.test.user_counts() == 0)).sum())
    assert split.facts["n_users_without_test"] == n_left
    for user in split.test.users():
        past = split.history.timestamp[split.history.user_idx == user]
        assert past.max() <= split.test.timestamp[split.test.user_idx == user].min()


def test_a_history_is_seen_but_not_trained_on() -> None:
    rows = [(user, item, item) for user in range(5) for item in range(4)]
    split = cold_user(dataset(rows), derive(1), n_history=2)
    (user,) = split.test.users()
    assert split.seen().toarray()[user].tolist() == [1, 1, 0, 0]
    assert split.train.interactions.user_counts()[user] == 0


def test_history_without_time_is_drawn() -> None:
    users, items = np.repeat(np.arange(10), 30), np.tile(np.arange(30), 10)
    data = Dataset.from_columns("made", users, items)
    split = cold_user(data, derive(1), n_history=10)
    assert split.history is not None
    assert sorted(split.history.user_counts().tolist()) == [0] * 8 + [10] * 2
    assert set(split.history.item_idx.tolist()) - set(range(10))


def test_in_time_needs_time() -> None:
    data = Dataset.from_columns("made", np.array([1, 2, 3]), np.array([1, 2, 3]))
    with pytest.raises(DataError, match=r"use split=cold_item with split.choose=random"):
        cold_item(data, derive(1), choose="time")


def test_one_user_or_one_item_cannot_be_cold() -> None:
    with pytest.raises(DataError, match="made: split=cold_user leaves an empty test side"):
        cold_user(dataset([(1, 1, 1), (1, 2, 2)]), derive(1))
    with pytest.raises(DataError, match="made: split=cold_item leaves an empty test side"):
        cold_item(dataset([(1, 1, 1), (2, 1, 2)]), derive(1))


def test_wrong_options_are_named() -> None:
    data = dataset([(1, 1, 1), (2, 2, 2)])
    with pytest.raises(ConfigError, match=r"split.n_history=-1"):
        cold_user(data, derive(1), n_history=-1)
    with pytest.raises(ConfigError, match=r"split.choose=new: expected one of random, time"):
        cold_user(data, derive(1), choose="new")
    with pytest.raises(ConfigError, match=r"split.test_fraction=2"):
        cold_item(data, derive(1), test_fraction=2)
