"""Surprise itself as the oracle: its own data loading, training and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
import surprise

from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap

Oracle: TypeAlias = Callable[[Any, Dataset, Any, Any], tuple[Any, Any]]


@pytest.fixture(scope="session")
def library() -> Oracle:
    """Fits an algorithm of Surprise and returns (estimate, was_impossible) of each pair."""

    def predictions(algorithm: Any, train: Dataset, users: Any, items: Any) -> tuple[Any, Any]:
        rows = train.interactions
        frame = pd.DataFrame({"user": rows.user_idx, "item": rows.item_idx, "rating": rows.value})
        data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=train.scale))
        algorithm.fit(data.build_full_trainset())
        found = [algorithm.predict(u, i, clip=False) for u, i in zip(users, items, strict=True)]
        impossible = np.array([one.details["was_impossible"] for one in found])
        return np.array([one.est for one in found]), impossible

    return predictions


def ratings(step: float = 1.0) -> Dataset:
    """30 users x 20 items, of which the last two users and items have no rating."""
    rng = np.random.default_rng(7)
    user, item = np.nonzero(rng.random((28, 18)) < 0.35)
    value = np.clip(rng.normal(3.5, 1.2, len(user)), 1, 5)
    value = np.round(value / step) * step
    ids = IdMap(range(30)), IdMap(range(20))
    scale = (step, 5.0)
    return Dataset.from_indices("small", ids[0], user, ids[1], item, value, scale=scale)


@pytest.fixture(scope="session", params=[1.0, 0.5], ids=["stars", "half-stars"])
def small(request: pytest.FixtureRequest) -> Dataset:
    """Small data with unknown users and items; whole stars, then half stars."""
    return ratings(request.param)


@pytest.fixture(scope="session")
def movielens_split(movielens: Dataset) -> tuple[Dataset, Any]:
    """A random 80/20 split of MovieLens-100K."""
    rows = movielens.interactions
    test = np.random.default_rng(0).random(len(rows)) < 0.2
    return movielens.with_interactions(rows.select(~test)), rows.select(test)
