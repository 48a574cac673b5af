"""What the nearest-neighbor models offer where items are compared, and only there."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.base import Explains, SimilarItems
from recexp.algorithms.surprise.knn import KNNBaseline, KNNBasic, KNNMeans, KNNZScore
from recexp.data.dataset import Dataset
from recexp.testing import check_recommender

MODELS = [KNNBasic, KNNMeans, KNNZScore, KNNBaseline]


@pytest.mark.parametrize("kind", MODELS)
def test_items_are_similar_as_the_library_says(kind: Any, small: Dataset) -> None:
    model = kind(user_based=False, similarity="cosine").fit(small)
    rows = small.interactions
    ratings = np.full((small.n_users, small.n_items), np.nan)
    ratings[rows.user_idx, rows.item_idx] = rows.value
    expected = np.zeros((small.n_items, small.n_items))
    for one in range(small.n_items):
        for other in range(small.n_items):
            both = ~np.isnan(ratings[:, one]) & ~np.isnan(ratings[:, other])
            if both.any():
                a, b = ratings[both, one], ratings[both, other]
                expected[one, other] = a @ b / np.sqrt((a @ a) * (b @ b))
    rated = np.flatnonzero(rows.item_counts()).astype(np.int32)
    found = model.similarities(rated)
    other = ~np.eye(small.n_items, dtype=bool)[rated]
    np.testing.assert_allclose(found[other], expected[rated][other], atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_the_reasons_add_up_to_what_the_neighbors_add(kind: Any, small: Dataset) -> None:
    model = kind(user_based=False, n_neighbors=5).fit(small)
    n_reasons = 0
    for user in range(5):
        for item in range(small.n_items - 2):
            x_center = model.x_center_[item] + model.y_center_[user]
            added = model.predict(np.array([user]), np.array([item]))[0] - x_center
            items, parts = model.neighborhoods_.parts(item, user, 5, 1)
            assert len(items) <= 5
            assert model.x_scale_[item] * parts.sum() == pytest.approx(np.nan_to_num(added))
            found = model.explain(user, item, 3)
            assert [weight for _, weight in found] == sorted((w for _, w in found), reverse=True)
            rated = small.interactions.item_idx[small.interactions.user_idx == user]
            assert {int(reason[5:]) for reason, _ in found} <= set(rated.tolist())
            n_reasons += len(found)
    assert n_reasons > 50


@pytest.mark.parametrize("kind", MODELS)
def test_where_users_are_compared_there_are_no_similar_items(kind: Any) -> None:
    assert not isinstance(kind(), SimilarItems)
    assert not isinstance(kind(), Explains)
    assert isinstance(kind(user_based=False), SimilarItems)
    assert isinstance(kind(user_based=False), Explains)


@pytest.mark.parametrize("kind", MODELS)
def test_models_over_items_keep_the_contract(kind: Any) -> None:
    contexts: dict[str, Any] = {
        "n_neighbors": {"n_neighbors": 5},
        "min_neighbors": {"min_neighbors": 41},
        "min_support": {"min_support": 60},
        "shrinkage": {"similarity": "pearson_baseline"},
    }
    check_recommender(functools.partial(kind, user_based=False), contexts=contexts)
