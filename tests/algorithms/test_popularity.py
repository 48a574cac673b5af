"""Popularity counts distinct users, in the time asked for."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.algorithms.base import Source
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError

DAY = 86_400
USERS = np.array([1, 1, 2, 2, 3, 3, 3])
ITEMS = np.array([10, 20, 10, 10, 20, 30, 10])
VALUES = np.array([5.0, 4.0, 4.0, 5.0, 2.0, 5.0, 1.0])
DAYS = np.array([0, 10, 20, 40, 30, 40, 40])


def dataset(*, ratings: bool = True, timestamps: bool = True) -> Dataset:
    return Dataset.from_columns(
        "tiny",
        USERS,
        ITEMS,
        VALUES if ratings else None,
        DAYS * DAY if timestamps else None,
        scale=(1.0, 5.0) if ratings else None,
    )


def test_it_counts_the_distinct_users_with_a_positive() -> None:
    scores = Popularity().fit(dataset()).score(np.array([0, 2], np.int32))
    assert scores.tolist() == [[2, 1, 1], [2, 1, 1]]  # user 2 rated item 10 twice


def test_without_ratings_every_interaction_counts() -> None:
    scores = Popularity().fit(dataset(ratings=False)).score(np.array([0], np.int32))
    assert scores.tolist() == [[3, 2, 1]]


def test_the_threshold_decides_what_counts() -> None:
    model = Popularity(positive_threshold=1.0).fit(dataset())
    assert model.score(np.array([0], np.int32)).tolist() == [[3, 2, 1]]


def test_a_window_leaves_out_what_is_older() -> None:
    model = Popularity(window_days=30).fit(dataset())
    assert model.popularity_.tolist() == [1, 1, 1]  # user 1's positive for item 10 is of day 0


def test_decay_halves_with_age_from_the_latest_interaction() -> None:
    model = Popularity(half_life_days=20).fit(dataset())
    # item 10: user 1 on day 0 (1/4), user 2 last on day 40 (1); item 20: user 1 on day 10
    np.testing.assert_allclose(model.popularity_, [1.25, 0.5**1.5, 1], rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"half_life_days": 20.0}, {"window_days": 30.0}, {"positive_threshold": 1.0}]
)
@pytest.mark.parametrize("first", [[0, 2, 5], [3, 6], [1, 2, 3, 4, 5]])
def test_learning_on_equals_learning_everything(
    options: dict[str, float], first: list[int]
) -> None:
    whole = dataset()
    rows = whole.interactions
    rest = np.setdiff1d(np.arange(len(rows)), first)
    model = Popularity(**options).fit(whole.with_interactions(rows.select(np.array(first))))
    model.partial_fit(whole.with_interactions(rows.select(rest)))
    np.testing.assert_array_equal(model.popularity_, Popularity(**options).fit(whole).popularity_)


def test_a_user_who_comes_again_is_still_one_user() -> None:
    model = Popularity().fit(dataset())
    assert model.partial_fit(dataset()).popularity_.tolist() == [2, 1, 1]


def test_everybody_is_answered_by_the_model() -> None:
    sources = Popularity().fit(dataset()).source(np.arange(3, dtype=np.int32))
    assert set(sources.tolist()) == {Source.MODEL}


def test_days_need_timestamps() -> None:
    with pytest.raises(DataError, match=r"tiny has no timestamps, which Popularity needs"):
        Popularity(window_days=1).fit(dataset(timestamps=False))
    assert Popularity().fit(dataset(timestamps=False)).popularity_.tolist() == [2, 1, 1]


@pytest.mark.parametrize("name", ["window_days", "half_life_days"])
def test_days_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"algo.{name}=0: Popularity expects"):
        Popularity(**{name: 0})
