"""Each user's last interactions."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive
from recexp.splits.base import Split
from recexp.splits.per_user import last_n, temporal_user

few = settings(max_examples=60, deadline=None, derandomize=True)
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=4, max_size=60)


def dataset(rows: list[tuple[int, int]]) -> Dataset:
    """Interactions (user, time); every one of another item."""
    users, times = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset.from_columns("made", users, np.arange(len(rows)), None, times)


def by_user(split: Split) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    sides = []
    for side in (split.train.interactions, split.test):
        times: dict[int, list[int]] = defaultdict(list)
        assert side.timestamp is not None
        for user, time in zip(side.user_idx, side.timestamp.tolist(), strict=True):
            times[split.train.users.ids[user]].append(time)
        sides.append({user: sorted(ones) for user, ones in times.items()})
    return sides[0], sides[1]


def test_the_last_n_are_tested_and_short_users_train_whole() -> None:
    rows = [(1, 30), (1, 10), (1, 20), (2, 5), (2, 6), (3, 1)]
    split = last_n(dataset(rows), derive(1), n=1)
    assert by_user(split) == ({1: [10, 20], 2: [5], 3: [1]}, {1: [30], 2: [6]})
    assert split.facts["n_users_without_test"] == 1
    split = last_n(dataset(rows), derive(1), n=2)
    assert by_user(split) == ({1: [10], 2: [5, 6], 3: [1]}, {1: [20, 30]})


def test_users_turn_cold_only_when_asked() -> None:
    split = last_n(dataset([(1, 10), (1, 20), (2, 5)]), derive(1), n=1, min_train=0)
    assert by_user(split) == ({1: [10]}, {1: [20], 2: [5]})


@given(ROWS, st.integers(1, 4), st.integers(0, 3))
@few
def test_every_user_with_enough_gives_exactly_n(
    rows: list[tuple[int, int]], n: int, min_train: int
) -> None:
    sizes = Counter(user for user, _ in rows)
    expected = {user: n for user, size in sizes.items() if size >= n + min_train}
    if not expected or sum(expected.values()) == len(rows):
        return
    train, test = by_user(last_n(dataset(rows), derive(1), n=n, min_train=min_train))
    assert {user: len(times) for user, times in test.items()} == expected
    assert all(max(train[user]) <= min(test[user]) for user in test.keys() & train.keys())


@given(ROWS, st.sampled_from([0.1, 0.2, 0.5, 0.9]))
@few
def test_every_user_gives_the_rounded_fraction(
    rows: list[tuple[int, int]], fraction: float
) -> None:
    sizes = Counter(user for user, _ in rows)
    expected = {user: min(int(fraction * size + 0.5), size - 1) for user, size in sizes.items()}
    expected = {user: n for user, n in expected.items() if n}
    if not expected:
        return
    train, test = by_user(temporal_user(dataset(rows), derive(1), test_fraction=fraction))
    assert {user: len(times) for user, times in test.items()} == expected
    assert train.keys() == sizes.keys()
    assert all(max(train[user]) <= min(test[user]) for user in test)


def test_wrong_options_are_named() -> None:
    data = dataset([(1, 1), (1, 2)])
    with pytest.raises(ConfigError, match=r"split.n=0: expected an integer >= 1"):
        last_n(data, derive(1), n=0)
    with pytest.raises(ConfigError, match=r"split.min_train=-1"):
        last_n(data, derive(1), min_train=-1)
    with pytest.raises(ConfigError, match=r"split.test_fraction=1"):
        temporal_user(data, derive(1), test_fraction=1)


def test_users_too_short_for_any_test_are_told() -> None:
    with pytest.raises(DataError, match=r"empty test side of 2 interactions; lower split.n"):
        last_n(dataset([(1, 1), (2, 2)]), derive(1))
