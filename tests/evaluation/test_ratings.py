"""Predicted and calibrated ratings, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.arrays import Float32Array, FloatArray, IdxArray
from recexp.data.dataset import Dataset
from recexp.evaluation import ratings as ratings_module
from recexp.evaluation.ratings import (
    Errors,
    isotonic,
    mae,
    mse,
    pair_scores,
    pool_adjacent_violators,
    predict_ratings,
    rmse,
)
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]


@dataclass
class Scored:
    """A recommender that was told its scores."""

    table: Float32Array

    def fit(self, train: Dataset) -> Self:
        return self

    def score(self, users: IdxArray) -> Float32Array:
        return self.table[users]


@dataclass
class Predicts(Scored):
    """One that was told its ratings too."""

    ratings: FloatArray

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        return self.ratings[users, items]


@dataclass
class Factors(Scored):
    """One whose scores are a product."""

    left: Float32Array
    right: Float32Array

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.left, self.right


def scikit_learn(x: Any, y: Any, new: Any) -> Any:
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(new)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(-20, 20), st.integers(-8, 8)), min_size=1, max_size=40),
    loop=st.booleans(),
)
def test_the_isotonic_map_is_scikit_learn_s(points: list[tuple[int, int]], loop: bool) -> None:
    x = np.array([p[0] for p in points]) / 4
    y = np.array([p[1] for p in points]) / 2
    new = np.linspace(-7, 7, 57)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ratings_module, "_LARGE", 10**9 if loop else 0)
        knots, levels = isotonic(x, y)
    np.testing.assert_allclose(
        np.interp(new, knots, levels), scikit_learn(x, y, new), rtol=0, atol=1e-12
    )


def test_the_isotonic_map_of_many_noisy_scores_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000).astype(np.float32)
    y = x + rng.normal(size=5000)
    new = rng.normal(size=500)
    expected = scikit_learn(x.astype(np.float64), y, new)
    np.testing.assert_allclose(np.interp(new, *isotonic(x, y)), expected, rtol=0, atol=1e-12)


def test_pooling_by_hand() -> None:
    y, weight = np.array([1.0, 3.0, 2.0, 4.0, 0.0]), np.array([1, 1, 3, 1, 1])
    # 3, 2 2 2 -> 9/4; 4, 0 -> 2 < 9/4: all six together 13/6
    expected = [1, 13 / 6, 13 / 6, 13 / 6, 13 / 6]
    np.testing.assert_allclose(pool_adjacent_violators(y, weight), expected)


TRAIN = [(0, 0, 5), (0, 1, 3), (1, 0, 4), (1, 2, 1), (2, 1, 2)]
TEST = [(0, 2, 4), (1, 1, 2), (2, 0, 5), (3, 0, 3), (3, 3, 1), (0, 3, 2)]


def test_predictions_are_clipped_to_the_scale(make_split: MakeSplit) -> None:
    split = make_split(TRAIN, TEST[:3], 4, 4)
    ratings = np.full((4, 4), 3.25)
    ratings[0, 2], ratings[1, 1] = 9.0, -2.0
    rated = predict_ratings(Predicts(np.zeros((4, 4), np.float32), ratings), split)
    assert rated is not None
    assert rated.prediction.tolist() == [5, 1, 3.25]
    assert rated.truth.tolist() == [4, 2, 5]
    assert rated.rating_source == "predicted"
    assert rated.fallback_share == 0


def test_what_cannot_be_predicted_falls_back_to_item_user_or_global_mean(
    make_split: MakeSplit,
) -> None:
    split = make_split(TRAIN, TEST, 4, 4)
    impossible = Predicts(np.zeros((4, 4), np.float32), np.full((4, 4), np.nan))
    rated = predict_ratings(impossible, split)
    assert rated is not None
    item_0, item_1, item_2 = 9 / 2, 5 / 2, 1
    user_0, everyone = 4, 15 / 5
    expected = [item_2, item_1, item_0, item_0, everyone, user_0]
    np.testing.assert_allclose(rated.prediction, expected)
    assert rated.fallback.all()
    assert rated.fallback_share == 1
    surprise = predict_ratings(impossible, split, "global")
    assert surprise is not None
    assert surprise.prediction.tolist() == [everyone] * len(TEST)
    assert surprise.fallback.all()


def test_scores_are_calibrated_around_the_user_s_training_mean(make_split: MakeSplit) -> None:
    split = make_split(TRAIN, TEST, 4, 4)
    table = np.arange(16, dtype=np.float32).reshape(4, 4)
    rated = predict_ratings(Scored(table), split)
    assert rated is not None
    assert rated.rating_source == "calibrated"
    mean = {0: 4.0, 1: 2.5, 2: 2.0}
    x = [table[u, i] for u, i, _ in TRAIN]
    y = [value - mean[u] for u, _, value in TRAIN]
    asked = [table[u, i] for u, i, _ in TEST[:3]]
    expected = np.array([mean[u] for u, _, _ in TEST[:3]]) + scikit_learn(x, y, asked)
    np.testing.assert_allclose(rated.prediction[:3], np.clip(expected, 1, 5), atol=1e-12)
    # User 3 is unknown: nobody's score; his pairs fall back. User 0 knows item 3 by its score.
    assert rated.fallback.tolist() == [False, False, False, True, True, False]


def test_calibration_never_sees_the_test_ratings(make_split: MakeSplit) -> None:
    table = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    changed = [(u, i, 6 - value) for u, i, value in TEST]
    one, other = (
        predict_ratings(Scored(table), make_split(TRAIN, test, 4, 4)) for test in (TEST, changed)
    )
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.prediction, other.prediction)


def test_only_the_order_of_the_scores_matters_at_the_training_scores(
    make_split: MakeSplit,
) -> None:
    table = np.random.default_rng(1).random((4, 4)).astype(np.float32)
    split = make_split(TRAIN, TRAIN, 4, 4)
    one, other = (predict_ratings(Scored(t), split) for t in (table, np.exp(3 * table)))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.prediction, other.prediction, atol=1e-12)


def test_a_score_of_never_falls_back(make_split: MakeSplit) -> None:
    table = np.arange(16, dtype=np.float32).reshape(4, 4)
    table[0, 2] = table[0, 0] = -np.inf  # a test and a training pair
    rated = predict_ratings(Scored(table), make_split(TRAIN, TEST, 4, 4))
    assert rated is not None
    assert rated.fallback.tolist() == [True, False, False, True, True, False]
    assert rated.prediction[0] == 1  # the mean of item 2
    nothing = Scored(np.full((4, 4), -np.inf, np.float32))
    rated = predict_ratings(nothing, make_split(TRAIN, TEST, 4, 4))
    assert rated is not None
    assert rated.fallback.all()


def test_without_ratings_there_are_no_rating_metrics(make_split: MakeSplit) -> None:
    split = make_split(TRAIN, TEST, 4, 4, scale=None)
    assert predict_ratings(Scored(np.zeros((4, 4), np.float32)), split) is None


def test_pair_scores_are_the_dense_scores_at_the_pairs(
    make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    left, right = rng.random((9, 3)).astype(np.float32), rng.random((7, 3)).astype(np.float32)
    table = left @ right.T
    rows = [(int(u), int(i), 5.0) for u, i in rng.integers(0, 7, (40, 2))]
    pairs = make_split(rows, [], 9, 7).train.interactions
    expected = table[pairs.user_idx, pairs.item_idx]
    monkeypatch.setattr(ratings_module, "_BLOCK_SCORES", 15)  # two users, or five pairs, a block
    np.testing.assert_array_equal(pair_scores(Scored(table), pairs), expected)
    found = pair_scores(Factors(table, left, right), pairs)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_errors_agree_with_scikit_learn() -> None:
    from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

    rng = np.random.default_rng(3)
    truth, prediction = rng.integers(1, 6, 500), rng.random(500) * 5
    error = truth - prediction
    sums = Errors(np.array(500.0), (error**2).sum(), np.abs(error).sum())
    assert mse(sums) == pytest.approx(mean_squared_error(truth, prediction), abs=1e-12)
    assert rmse(sums) == pytest.approx(root_mean_squared_error(truth, prediction), abs=1e-12)
    assert mae(sums) == pytest.approx(mean_absolute_error(truth, prediction), abs=1e-12)
