"""Features with test statistics, planted among honest ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from recexp.arrays import FloatArray
from recexp.data.dataset import Dataset, Features
from recexp.data.interactions import Interactions
from recexp.rng import derive
from recexp.splits.audit import audit
from recexp.splits.base import Protocol, Split
from recexp.splits.cold import cold_item
from recexp.splits.feature_leaks import leaked_features
from recexp.splits.random import random
from recexp.splits.temporal import temporal

Statistic = Callable[[Interactions, str], FloatArray]


def count(of: Interactions, side: str) -> FloatArray:
    return np.bincount(getattr(of, f"{side}_idx"), minlength=getattr(of, f"n_{side}s")) * 1.0


def total(of: Interactions, side: str) -> FloatArray:
    idx = getattr(of, f"{side}_idx")
    return np.bincount(idx, weights=of.value, minlength=getattr(of, f"n_{side}s"))


def mean(of: Interactions, side: str) -> FloatArray:
    return total(of, side) / np.maximum(count(of, side), 1)


def log_count(of: Interactions, side: str) -> FloatArray:
    return np.log1p(count(of, side))


def with_columns(data: Dataset, side: str, **columns: FloatArray) -> Dataset:
    """The data with these columns beside a few honest ones."""
    n = getattr(data, f"n_{side}s")
    rng = derive(5)
    honest = {
        "year": rng.integers(1930, 2000, n).astype(float),
        "genre=Comedy": rng.integers(0, 2, n).astype(float),
        "constant": np.ones(n),
        "empty": np.zeros(n),
        "price": rng.lognormal(size=n),
    }
    named = {**honest, **columns}
    matrix = csr_array(np.column_stack(list(named.values())).astype(np.float32))
    features = Features(matrix, tuple(named))
    if side == "item":
        return replace(data, item_features=features)
    return replace(data, user_features=features)


def split_with(data: Dataset, protocol: Protocol, side: str, of: str, made: Statistic) -> Split:
    """A split of `data` with the column `planted` computed from a side of that same split."""
    plain = protocol(data, derive(1, "split"))
    source = {"all": data.interactions, "train": plain.train.interactions, "test": plain.test}[of]
    return protocol(with_columns(data, side, planted=made(source, side)), derive(1, "split"))


@pytest.mark.parametrize("protocol", [random, temporal])
@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("of", ["all", "test"])
@pytest.mark.parametrize("made", [count, total, mean, log_count])
def test_a_statistic_with_test_interactions_is_found(
    protocol: Protocol, side: str, of: str, made: Statistic, movielens: Dataset
) -> None:
    (found,) = leaked_features(split_with(movielens, protocol, side, of, made))
    assert found.startswith(f"{side} planted (")
    assert found.endswith(f"of {of} interactions)")


@pytest.mark.parametrize("protocol", [random, temporal, cold_item])
@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("made", [count, total, mean, log_count])
def test_a_statistic_of_training_is_honest(
    protocol: Protocol, side: str, made: Statistic, movielens: Dataset
) -> None:
    split = split_with(movielens, protocol, side, "train", made)
    assert leaked_features(split) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda column: np.round(column, 1),
        lambda column: (column - column.mean()) / column.std(),
        lambda column: (column - column.min()) / np.ptp(column),
        lambda column: -column,
    ],
    ids=["rounded", "standardized", "scaled to 0-1", "negated"],
)
def test_rounding_and_scaling_do_not_hide_it(
    change: Callable[[FloatArray], FloatArray], movielens: Dataset
) -> None:
    changed = change(mean(movielens.interactions, "item"))
    split = random(with_columns(movielens, "item", quality=changed), derive(1))
    assert leaked_features(split) == ["item quality (mean of all interactions)"]


def test_a_cold_item_that_knows_its_ratings_is_found(movielens: Dataset) -> None:
    split = split_with(movielens, cold_item, "item", "all", mean)
    assert leaked_features(split) == ["item planted (mean of all interactions)"]


def test_text_columns_that_are_numbers_are_looked_at(movielens: Dataset) -> None:
    counts = count(movielens.interactions, "item")
    data = replace(
        movielens,
        item_columns={
            "title": tuple(f"Film {one}" for one in range(movielens.n_items)),
            "n_ratings": tuple(str(int(one)) for one in counts),
            "budget": tuple("" if one % 3 else str(one) for one in range(movielens.n_items)),
            "odd": tuple("nan" for _ in range(movielens.n_items)),
        },
    )
    assert leaked_features(temporal(data, derive(1))) == [
        "item n_ratings (count of all interactions)"
    ]


def test_the_audit_counts_them(movielens: Dataset) -> None:
    whole = movielens.interactions
    data = with_columns(movielens, "item", quality=mean(whole, "item"), views=count(whole, "item"))
    data = with_columns(data, "user", activity=count(whole, "user"))
    facts = audit(random(data, derive(1))).facts
    assert facts["leaked_feature_columns"] == 3
    assert facts["leaked_features"] == [
        "user activity (count of all interactions)",
        "item quality (mean of all interactions)",
        "item views (count of all interactions)",
    ]


@pytest.mark.parametrize("protocol", [random, temporal, cold_item])
def test_the_features_of_movielens_are_honest(protocol: Protocol, movielens: Dataset) -> None:
    assert leaked_features(protocol(movielens, derive(1))) == []


def test_a_handful_of_rows_says_nothing() -> None:
    data = Dataset.from_columns("made", np.arange(12) % 4, np.arange(12) % 6)
    planted = with_columns(data, "item", planted=count(data.interactions, "item") + np.arange(6))
    assert leaked_features(random(planted, derive(1))) == []
