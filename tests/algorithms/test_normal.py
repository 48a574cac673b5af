"""Random ratings are normal draws with the moments of the training ratings."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.algorithms.normal import Normal
from recexp.data.dataset import Dataset


def test_ratings_have_the_moments_of_training(movielens: Dataset) -> None:
    rows = movielens.interactions
    ratings = Normal().fit(movielens).predict(rows.user_idx, rows.item_idx)
    # 100,000 draws: the standard errors of mean, deviation and kurtosis are below 0.004, 0.003 and
    # 0.016; the kurtosis of a normal distribution is 3.
    assert ratings.mean() == pytest.approx(rows.value.mean(), abs=0.015)
    assert ratings.std() == pytest.approx(rows.value.std(), abs=0.01)
    standard = (ratings - ratings.mean()) / ratings.std()
    assert (standard**4).mean() == pytest.approx(3, abs=0.08)


def test_users_items_and_seeds_are_uncorrelated(synthetic: Dataset) -> None:
    users = np.arange(synthetic.n_users, dtype=np.int32)
    one, other = (Normal(seed).fit(synthetic).score(users) for seed in (1, 2))
    for a, b in ((one[:-1], one[1:]), (one[:, :-1], one[:, 1:]), (one, other)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_a_rating_does_not_depend_on_what_else_is_asked_for(synthetic: Dataset) -> None:
    model, rows = Normal().fit(synthetic), synthetic.interactions
    users, items = rows.user_idx, rows.item_idx
    some = model.predict(users[5:9], items[5:9])
    np.testing.assert_array_equal(some, model.predict(users, items)[5:9])
