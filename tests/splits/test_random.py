"""Interactions dealt at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive
from recexp.splits.random import k_fold, random

few = settings(max_examples=60, deadline=None, derandomize=True)


def dataset(n: int, n_users: int = 1) -> Dataset:
    """`n` interactions, every one of another item, of users in turn."""
    return Dataset.from_columns("made", np.arange(n) % n_users, np.arange(n))


@given(st.integers(2, 300), st.floats(0.01, 0.99))
@few
def test_the_size_is_the_rounded_fraction(n: int, fraction: float) -> None:
    split = random(dataset(n), derive(1), test_fraction=fraction)
    assert len(split.test) == min(max(int(fraction * n + 0.5), 1), n - 1)


def test_every_interaction_is_tested_as_often() -> None:
    data = dataset(20)
    tested = np.zeros(20)
    for seed in range(500):
        tested[random(data, derive(seed)).test.item_idx] += 1
    assert tested.sum() == 500 * 4
    assert tested.min() > 60  # 100 expected, standard deviation 8.9
    assert tested.max() < 140


@given(st.integers(2, 80), st.integers(1, 9), st.sampled_from([0.2, 0.5, 0.8]))
@few
def test_within_users_everyone_gives_the_rounded_fraction(
    n: int, n_users: int, fraction: float
) -> None:
    data = dataset(n, n_users)
    sizes = data.interactions.user_counts()
    expected = [min(int(fraction * size + 0.5), size - 1) for size in sizes]
    if sum(expected) == 0:
        return
    split = random(data, derive(1), test_fraction=fraction, within="user")
    assert split.test.user_counts().tolist() == expected


@given(st.integers(10, 200), st.integers(2, 10), st.integers(0, 5))
@few
def test_folds_are_a_partition_of_equal_sizes(n: int, n_folds: int, seed: int) -> None:
    data = dataset(n)
    tests = [
        k_fold(data, derive(seed, "split"), n_folds=n_folds, fold=fold).test.item_idx
        for fold in range(n_folds)
    ]
    assert sorted(np.concatenate(tests).tolist()) == list(range(n))
    assert {len(test) for test in tests} <= {n // n_folds, n // n_folds + 1}


def test_wrong_options_are_named() -> None:
    for options in ({"fold": 5}, {"fold": -1}, {"n_folds": 1}):
        ((name, value),) = options.items()
        with pytest.raises(ConfigError, match=rf"split.{name}={value}: expected"):
            k_fold(dataset(10), derive(1), **options)
    with pytest.raises(ConfigError, match=r"split.test_fraction=nan"):
        random(dataset(10), derive(1), test_fraction=float("nan"))
    with pytest.raises(ConfigError, match=r"split.within=item: expected one of all, user"):
        random(dataset(10), derive(1), within="item")


def test_one_interaction_cannot_be_split() -> None:
    with pytest.raises(DataError, match="made: split=random leaves an empty test side of 1"):
        random(dataset(1), derive(1))
    with pytest.raises(DataError, match="split=k_fold leaves an empty test side"):
        k_fold(dataset(3), derive(1), fold=4)
