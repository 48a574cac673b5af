"""Who answers a user: the recommender, a fold-in of his history, or popularity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from recexp.algorithms.base import Source
from recexp.arrays import Float32Array, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.evaluation.scoring import Scorer
from recexp.splits.base import Split

TRAIN = [(0, 0, 5), (0, 1, 4), (1, 1, 5), (1, 1, 4), (2, 1, 4), (2, 2, 5)]
HISTORY = [(4, 3, 2.0), (4, 0, 3.0), (0, 3, 1.0)]


@dataclass
class Constant:
    """Scores 100 * user + item."""

    def fit(self, train: Dataset) -> Self:
        self.n_items_ = train.n_items
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return (100 * users[:, None] + np.arange(self.n_items_)).astype(np.float32)


@dataclass
class Folding(Constant):
    """Scores a history by its values times -1."""

    def score_histories(self, histories: Sparse) -> Float32Array:
        scores: Float32Array = -histories.toarray()
        return scores


@dataclass
class Featured(Constant):
    """Knows users 3 and up by their features."""

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        return np.where(users >= 3, Source.FEATURES, Source.MODEL).astype(np.uint8)


@pytest.fixture
def split(make_split: Callable[..., Split]) -> Split:
    return make_split(TRAIN, [(3, 0, 5)], 5, 4, history=HISTORY)


def users(*idx: int) -> IdxArray:
    return np.array(idx, np.int32)


def scorer(recommender: Any, split: Split) -> Scorer:
    return Scorer(recommender.fit(split.train), split)


def test_users_with_training_interactions_are_the_models_others_fall_back(split: Split) -> None:
    answered = scorer(Constant(), split)
    assert answered.sources(users(3, 0, 4, 2)).tolist() == [
        Source.FALLBACK,
        Source.MODEL,
        Source.FALLBACK,
        Source.MODEL,
    ]


def test_the_fallback_is_the_number_of_distinct_training_users(split: Split) -> None:
    scores = scorer(Constant(), split).score(users(3, 0, 4, 2))
    assert scores.dtype == np.float32
    assert scores.tolist() == [[1, 3, 1, 0], [0, 1, 2, 3], [1, 3, 1, 0], [200, 201, 202, 203]]


def test_unknown_users_with_a_history_are_folded_in(split: Split) -> None:
    answered = scorer(Folding(), split)
    # User 0 has a history too, but is known from training.
    assert answered.sources(users(0, 3, 4)).tolist() == [
        Source.MODEL,
        Source.FALLBACK,
        Source.FOLD_IN,
    ]
    assert answered.score(users(0, 3, 4)).tolist() == [[0, 1, 2, 3], [1, 3, 1, 0], [-3, 0, 0, -2]]


def test_without_histories_nobody_is_folded_in(make_split: Callable[..., Split]) -> None:
    answered = scorer(Folding(), make_split(TRAIN, [(3, 0, 5)], 5, 4))
    assert answered.sources(users(3, 4)).tolist() == [Source.FALLBACK, Source.FALLBACK]


def test_a_recommender_that_states_its_sources_is_believed(split: Split) -> None:
    answered = scorer(Featured(), split)
    assert answered.sources(users(2, 3, 4)).tolist() == [
        Source.MODEL,
        Source.FEATURES,
        Source.FEATURES,
    ]
    assert answered.score(users(4)).tolist() == [[400, 401, 402, 403]]


def test_every_user_has_one_answer(split: Split) -> None:
    everybody = users(4, 3, 2, 1, 0)
    parts = scorer(Folding(), split).answers(everybody)
    assert sorted(np.concatenate([at for _, at in parts]).tolist()) == [0, 1, 2, 3, 4]
    assert [len(at) for _, at in parts] == [3, 1, 1]
    assert scorer(Folding(), split).answers(users()) == []


def test_nobody_asked_for_gets_no_rows(split: Split) -> None:
    assert scorer(Constant(), split).score(users()).shape == (0, 4)
