"""Folding a user into Surprise's factorizations is its own descent with the items held still."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import spearmanr

from recexp.algorithms.surprise.factors import SVD, SVDpp
from recexp.algorithms.surprise.fold_in import descend
from recexp.data.dataset import Dataset


def descended(
    history: list[tuple[int, float]],
    parts: tuple[float, Any, Any],
    given: Any,
    options: tuple[float, float, int],
    biased: bool = True,
) -> tuple[float, Any]:
    """b_u and p_u by the loop of Surprise's `sgd`, without its updates of the items."""
    mean, bi, qi = parts
    learning_rate, regularization, epochs = options
    bu, pu = 0.0, np.zeros(qi.shape[1])
    for _ in range(epochs):
        for item, rating in history:
            known = mean + bi[item] + bu if biased else 0.0
            error = rating - (known + qi[item] @ (pu + given))
            if biased:
                bu += learning_rate * (error - regularization * bu)
            pu += learning_rate * (error * qi[item] - regularization * pu)
    return bu, pu


@pytest.mark.parametrize("biased", [True, False])
def test_svd_learns_the_user_as_in_training(biased: bool, small: Dataset) -> None:
    model = SVD(4, 6, learning_rate=0.03, regularization=0.1, biased=biased, init_std=0.5, seed=1)
    model.fit(small)
    q, b = model.item_factors_[:, :-2], model.item_factors_[:, -1]
    mean = float(small.interactions.value.mean(dtype=float))
    histories = small.interactions.csr()[:6]
    scores = model.score_histories(histories)
    for row in range(6):
        history = [(i, float(histories[row, i])) for i in histories[[row]].indices]
        options = (0.03, 0.1, 6)
        bu, pu = descended(history, (mean, b, q), np.zeros(4), options, biased)
        expected = mean + bu + b + q @ pu if biased else q @ pu
        sold = small.interactions.item_counts() > 0
        np.testing.assert_allclose(scores[row][sold], expected[sold], rtol=1e-5)


def test_svdpp_adds_what_the_history_says_without_ratings(small: Dataset) -> None:
    model = SVDpp(4, 6, learning_rate=0.03, regularization=0.1, init_std=0.5, seed=1).fit(small)
    q, b = model.item_factors_[:, :-2], model.item_factors_[:, -1]
    mean = float(small.interactions.value.mean(dtype=float))
    row = small.interactions.csr()[[2]]
    given = sum(model.implicit_[i] for i in row.indices) / np.sqrt(len(row.indices))
    history = list(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    bu, pu = descended(history, (mean, b, q), given, (0.03, 0.1, 6))
    expected = mean + bu + b + q @ (pu + given)
    np.testing.assert_allclose(model.score_histories(row)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("model", [SVD(4, 2), SVD(4, 2, biased=False), SVDpp(4, 2)])
def test_an_empty_history_is_a_cold_user(model: Any, small: Dataset) -> None:
    model.fit(small)
    cold = np.flatnonzero(small.interactions.user_counts() == 0)[:1].astype(np.int32)
    nothing = csr_array((1, small.n_items), dtype=np.float32)
    np.testing.assert_array_equal(model.score_histories(nothing), model.score(cold))


def test_users_of_all_lengths_are_learned_side_by_side() -> None:
    rng = np.random.default_rng(0)
    items = rng.normal(size=(7, 2))
    dense = np.where(np.tri(5, 7, 1) > 0, rng.normal(size=(5, 7)), 0)[[2, 0, 4, 1, 3]]
    together = descend(csr_array(dense), items, 0.05, 0.1, 3)
    for row in range(5):
        alone = descend(csr_array(dense[[row]]), items, 0.05, 0.1, 3)
        np.testing.assert_allclose(together[[row]], alone, rtol=1e-12)
    assert descend(csr_array((0, 7)), items, 0.05, 0.1, 3).shape == (0, 2)


@pytest.mark.movielens
def test_a_users_own_history_leads_back_to_his_scores(movielens_split: Any) -> None:
    train, _ = movielens_split
    model = SVD().fit(train)
    users = np.arange(0, train.n_users, 20, dtype=np.int32)
    folded = model.score_histories(train.interactions.csr()[users])
    scores = model.score(users)
    alike = [spearmanr(a, b).statistic for a, b in zip(folded, scores, strict=True)]
    assert np.mean(alike) > 0.95
    assert np.min(alike) > 0.9
