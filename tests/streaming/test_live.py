"""A live model answers as the run did, and follows events at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recexp.algorithms.base import PartialFit, Source
from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.neighbors import UserKNN
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.fitted import FittedModel
from recexp.streaming.events import Event
from recexp.streaming.live import LiveModel


@pytest.fixture(scope="module")
def train() -> Dataset:
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((60, 40)) < np.linspace(0.1, 0.7, 40))
    return Dataset.from_columns("clicks", users + 100, items + 500)


def live(train: Dataset, recommender: Any, **options: Any) -> LiveModel:
    return LiveModel(FittedModel(recommender.fit(train), train), **options)


def event(user: Any, item: Any, kind: Any = "like", value: float | None = None) -> Event:
    return Event(f"{user}-{item}-{kind}-{value}", user, item, kind, value, 2_000_000_000)


def listed(model: LiveModel, user: Any, k: int = 10) -> list[Any]:
    return model.model.train.items.to_ids(model.recommend(user, k).items.tolist())


@pytest.mark.parametrize(
    "recommender", [ALS(n_factors=8, epochs=3), EASE(), UserKNN(), Popularity()], ids=repr
)
def test_without_events_the_lists_are_those_of_the_fitted_model(
    train: Dataset, recommender: Any
) -> None:
    model = live(train, recommender)
    whole = model.model.lists(train.users.ids, 12)
    for user, items, scores in zip(whole.user_ids, whole.items, whole.scores, strict=True):
        answer = model.recommend(user, 12)
        assert answer.items.tolist() == items[items >= 0].tolist()
        np.testing.assert_allclose(answer.scores, scores[items >= 0], rtol=2e-5)


def test_the_next_answer_follows_an_event(train: Dataset) -> None:
    model = live(train, EASE(regularization=20.0))
    user = train.users.ids[0]
    before = listed(model, user)
    model.take([event(user, before[0])])
    answer = model.recommend(user, 10)
    assert answer.source is Source.FOLD_IN
    assert before[0] not in listed(model, user)
    # By hand: the user's row with the new item, times EASE's weights (Steck, WWW 2019).
    liked = train.positives().csr("ones").toarray().astype(float)
    inverse = np.linalg.inv(liked.T @ liked + 20 * np.eye(train.n_items))
    weights = np.eye(train.n_items) - inverse / np.diag(inverse)
    row = liked[0]
    row[train.items.to_idx([before[0]])[0]] = 1.0
    np.testing.assert_allclose(answer.scores, (row @ weights)[answer.items], atol=1e-5)


def test_new_users_and_items_grow_the_model(train: Dataset) -> None:
    model = live(train, ALS(n_factors=8, epochs=3))
    known = train.items.ids[5]
    with pytest.raises(DataError, match="no user"):
        model.recommend("somebody", 5)
    somebody = 10**6
    model.take([event(somebody, known), event(somebody, 10**7)])
    answer = model.recommend(somebody, 45)
    assert answer.source is Source.FOLD_IN
    assert len(answer.items) == train.n_items - 1
    model.adopt(model.taught())
    assert model.n_pending == 0
    assert model.learned.n_items == train.n_items + 1
    after = model.recommend(somebody, 45)
    assert after.source is Source.MODEL
    other = model.recommend(train.users.ids[0], 45)
    assert train.n_items in other.items  # the new item is recommended now


def test_what_is_taught_leaves_the_model_in_use_as_it_was(train: Dataset) -> None:
    model = live(train, ALS(n_factors=8, epochs=3))
    user = train.users.ids[7]
    before = model.recommend(user, 10).scores
    model.take([event(train.users.ids[8], item) for item in train.items.ids[:20]])
    model.taught()
    np.testing.assert_array_equal(model.recommend(user, 10).scores, before)


@pytest.mark.parametrize("recommender", [EASE(), Popularity(), UserKNN()], ids=repr)
def test_refitted_is_a_fit_of_everything(train: Dataset, recommender: Any) -> None:
    model = live(train, recommender)
    rng = np.random.default_rng(5)
    pairs = rng.integers(0, [[60], [40]], (2, 80)).T.tolist()
    events = [event(train.users.ids[user], train.items.ids[item]) for user, item in pairs]
    model.take(events)
    model.adopt(model.refitted())
    columns = train.interactions
    users = np.append(columns.user_idx, [pair[0] for pair in pairs])
    items = np.append(columns.item_idx, [pair[1] for pair in pairs])
    names = np.asarray(train.users.ids)[users], np.asarray(train.items.ids)[items]
    whole = Dataset.from_columns("whole", *names)
    fresh = type(recommender)().fit(whole)
    for user in (0, 9, 33):
        answer = model.recommend(train.users.ids[user], 10, exclude_seen=False)
        np.testing.assert_allclose(
            answer.scores, np.sort(fresh.score(np.array([user]))[0])[::-1][:10], rtol=1e-5
        )


def test_popularity_counts_each_user_once_and_live(train: Dataset) -> None:
    model = live(train, EASE())
    rare = int(np.argmin(train.interactions.item_counts()))
    id_ = train.items.ids[rare]
    n_before = len(set(train.interactions.user_idx[train.interactions.item_idx == rare].tolist()))
    model.take([event(10**6 + n, id_) for n in range(100)] * 2)
    model.take([event(10**7, 10**7, "dismiss")])
    answer = model.recommend(10**7, 1)
    assert answer.source is Source.FALLBACK
    assert answer.items.tolist() == [rare]
    assert answer.scores.tolist() == [n_before + 100]


def test_popularity_counts_whoever_likes_at_last(train: Dataset) -> None:
    ids = np.array([1, 1, 2]), np.array([5, 6, 6])
    rated = Dataset.from_columns("rated", *ids, np.array([2.0, 5.0, 5.0]), scale=(1, 5))
    model = live(rated, Popularity())
    model.take([event(1, 5, "rating", 3.0)])
    assert model.chosen.tolist() == [0, 2]
    model.take([event(1, 5, "rating", 4.0), event(1, 5), event(2, 6)])
    assert model.chosen.tolist() == [1, 2]


def test_an_algorithm_that_can_do_neither_says_so_and_still_hides_what_was_seen(
    train: Dataset,
) -> None:
    model = live(train, UserKNN())
    assert not isinstance(model.learned.recommender, PartialFit)
    user = train.users.ids[3]
    first = listed(model, user)[0]
    model.take([event(user, first, "dismiss")])
    assert first not in listed(model, user, 40)
    with pytest.raises(ConfigError, match="fitted anew"):
        model.taught()


def test_what_is_allowed_is_all_that_is_listed(train: Dataset) -> None:
    model = live(train, EASE())
    allowed = np.zeros(train.n_items, np.bool_)
    allowed[[3, 5, 8]] = True
    model.take([event(10**6, 10**7)])
    answer = model.recommend(train.users.ids[0], 10, exclude_seen=False, allowed=allowed)
    assert sorted(answer.items.tolist()) == [3, 5, 8]


def test_a_history_given_with_the_question_is_forgotten(train: Dataset) -> None:
    model = live(train, EASE())
    some = train.items.ids[:3]
    answer = model.recommend_to(some, [None, None, None], 5)
    assert answer.source is Source.FOLD_IN
    assert not set(answer.items.tolist()) & {0, 1, 2}
    assert model.histories.n_events == 0
    assert model.recommend_to([], [], 5).source is Source.FALLBACK
    with pytest.raises(DataError, match="unknown items in the history: 'x'"):
        model.recommend_to(["x"], [None], 5)
