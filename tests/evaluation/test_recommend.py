"""The lists of an experiment: what may be in them, who made them, what ties decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest

from recexp.algorithms.base import Source
from recexp.algorithms.popularity import Popularity
from recexp.arrays import Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.evaluation.recommend import Recommendations, recommend
from recexp.splits.base import Split

TRAIN = [(0, 0, 5), (0, 1, 4), (1, 1, 5), (2, 1, 2), (2, 2, 5), (2, 0, 5)]
"""Users 3 and 4 are cold, items 3 and 4 too; item 1 has three users, 0 two, 2 one."""


@dataclass
class ByItem:
    """Prefers items of higher idx; folds in by preferring lower ones."""

    def fit(self, train: Dataset) -> Self:
        self.n_items_ = train.n_items
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return np.tile(np.arange(self.n_items_, dtype=np.float32), (len(users), 1))

    def score_histories(self, histories: Sparse) -> Float32Array:
        return -self.score(np.zeros(histories.shape[0], np.int32))


@pytest.fixture
def split(make_split: Callable[..., Split]) -> Split:
    return make_split(TRAIN, [(3, 3, 5)], 5, 5, scale=None, history=[(4, 0, 1)])


def lists(split: Split, k: int, recommender: Any = None, **options: Any) -> Recommendations:
    model = ByItem() if recommender is None else recommender
    everybody = np.arange(split.train.n_users, dtype=np.int32)
    return recommend(model.fit(split.train), split, everybody, k, **options)


def test_seen_items_never_come_back(split: Split) -> None:
    found = lists(split, 5)
    assert found.lists.items[:3].tolist() == [
        [4, 3, 2, -1, -1],
        [4, 3, 2, 0, -1],
        [4, 3, -1, -1, -1],
    ]
    assert found.lists.items[4].tolist() == [1, 2, 3, 4, -1]  # nor those of a history


def test_seen_items_come_back_when_asked_for(split: Split) -> None:
    found = lists(split, 5, exclude_seen=False)
    assert found.lists.items[:3].tolist() == [[4, 3, 2, 1, 0]] * 3
    assert found.lists.items[4].tolist() == [0, 1, 2, 3, 4]


def test_candidates_can_be_restricted_to_training_items(split: Split) -> None:
    found = lists(split, 3, candidates="train")
    assert found.lists.items[:3].tolist() == [[2, -1, -1], [2, 0, -1], [-1, -1, -1]]


def test_users_it_cannot_answer_get_popular_items_and_are_counted(split: Split) -> None:
    found = lists(split, 3)
    assert found.lists.items[3].tolist() == [1, 0, 2]
    assert found.lists.scores[3].tolist() == [3, 2, 1]
    assert found.sources.tolist() == [Source.MODEL] * 3 + [Source.FALLBACK, Source.FOLD_IN]
    assert found.source_counts == {"model": 3, "features": 0, "fold_in": 1, "fallback": 1}


def test_ties_are_broken_by_the_seed_and_counted(split: Split) -> None:
    # Of the popular items only the two cold ones are tied; users 0 to 2 have seen up to three.
    found = lists(split, 1, Popularity())
    assert found.lists.tied_boundary.tolist() == [False, False, True, False, False]
    assert found.tied_boundary_share == 0.2
    first = {lists(split, 1, Popularity(), seed=seed).lists.items[2, 0] for seed in range(20)}
    assert first == {3, 4}


def test_the_same_seed_gives_the_same_lists(split: Split) -> None:
    one, two = (lists(split, 4, Popularity(), seed=7, threads=n).lists.items for n in (1, 3))
    assert np.array_equal(one, two)


def test_rows_ascend_and_repeated_users_get_one(split: Split) -> None:
    model = ByItem().fit(split.train)
    found = recommend(model, split, np.array([3, 1, 3], np.int32), 2)
    assert found.lists.users.tolist() == [1, 3]
    assert found.lists.items.tolist() == [[4, 3], [1, 0]]
    assert found.sources.tolist() == [Source.MODEL, Source.FALLBACK]


def test_nobody_to_recommend_to(split: Split) -> None:
    found = recommend(ByItem().fit(split.train), split, np.zeros(0, np.int32), 2)
    assert found.lists.items.shape == (0, 2)
    assert found.tied_boundary_share == 0.0


def test_a_cutoff_beyond_the_catalogue_is_refused_whoever_is_asked_for(split: Split) -> None:
    for users in ([0, 3], [3]):
        with pytest.raises(ConfigError, match=r"k=6.*catalogue of 5"):
            recommend(ByItem().fit(split.train), split, np.array(users, np.int32), 6)


def test_unknown_candidates_are_refused(split: Split) -> None:
    with pytest.raises(ConfigError, match="candidates=trian; did you mean 'train'"):
        lists(split, 2, candidates="trian")


def test_a_fold_in_that_is_no_number_is_blamed_on_its_algorithm(split: Split) -> None:
    @dataclass
    class Diverged(ByItem):
        def score_histories(self, histories: Sparse) -> Float32Array:
            return np.full((histories.shape[0], self.n_items_), np.nan, np.float32)

    with pytest.raises(DataError, match="Diverged gave a score that is NaN"):
        lists(split, 2, Diverged())
