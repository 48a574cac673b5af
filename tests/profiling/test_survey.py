"""What each split would leave."""

from __future__ import annotations

from functools import partial

import numpy as np

from recexp.data.dataset import Dataset
from recexp.profiling.survey import suggest, survey
from recexp.splits.random import random
from recexp.splits.temporal import temporal


def test_a_possible_split_tells_its_sizes_and_another_why_not() -> None:
    rows = np.arange(100)
    data = Dataset.from_columns("d", rows % 10, rows // 10, rows % 5 + 1.0, scale=(1, 5))
    found = survey(data, {"temporal": temporal, "random": partial(random, test_fraction=0.3)})
    assert not found["temporal"]["possible"]
    assert "has no timestamps" in found["temporal"]["why"]
    assert (found["random"]["n_train"], found["random"]["n_test"]) == (70, 30)
    assert found["random"]["duplicate_pairs"] == 0
    assert 0 < found["random"]["evaluated_users"] <= 10
    assert suggest(found) == "random"


def test_cold_users_show() -> None:
    users = np.array([0, 0, 1, 1, 2, 2])
    data = Dataset.from_columns("d", users, np.array([0, 1, 0, 1, 0, 1]), None, np.arange(6))
    found = survey(data, {"temporal": partial(temporal, test_fraction=2 / 6)})["temporal"]
    assert (found["n_train"], found["n_test"], found["cold_users"]) == (4, 2, 1)
    assert found["cold_user_interaction_share"] == 1.0


def test_without_anybody_to_evaluate_nothing_is_suggested() -> None:
    assert suggest({"temporal": {"possible": True, "evaluated_users": 0}}) is None
    assert suggest({}) is None
