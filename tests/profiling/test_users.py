"""User profiles: against naive counting, and blind to the test."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.data.features import one_hot
from recexp.data.interactions import Interactions
from recexp.errors import DataError
from recexp.evaluation.arithmetic import percentile
from recexp.profiling.users import PREFIX, describe_users, profile_users
from recexp.rng import derive
from recexp.splits.base import Split, carve
from recexp.splits.described import Described
from recexp.splits.random import random

DAY = 86_400


@pytest.fixture
def toy() -> Dataset:
    """a: x 5, y 3, z 1; b: x 4; nobody: c."""
    it = Interactions(
        np.array([0, 0, 0, 1]),
        np.array([0, 1, 2, 0]),
        np.array([5, 3, 1, 4]),
        np.array([1, 2, 3, 7]) * DAY,
        3,
        3,
    )
    ids = np.array(["a", "b", "c"]), np.array(["x", "y", "z"])
    return replace(
        Dataset.from_columns("toy", *ids),
        interactions=it,
        scale=(1.0, 5.0),
        relevance_threshold=4.0,
        item_columns={"title": ("X", "Y", "Z"), "genres": ("Drama|War", "War", "")},
    )


def test_the_traits_of_a_history(toy: Dataset) -> None:
    traits = profile_users(toy).traits
    np.testing.assert_allclose(traits["activity"], np.array([3, 1, np.nan]))
    np.testing.assert_allclose(traits["mean_value"], [3, 4, np.nan], rtol=1e-12)
    np.testing.assert_allclose(traits["spread"], [np.sqrt(8 / 3), 0, np.nan], rtol=1e-12)
    # x has two interactions, y and z one each: percentiles 5/6, 1/3, 1/3.
    np.testing.assert_allclose(traits["mainstreamness"], [0.5, 5 / 6, np.nan])
    np.testing.assert_allclose(traits["recency"], [-4, 0, np.nan])


def test_taste_is_the_share_of_the_categories(toy: Dataset) -> None:
    profiles = profile_users(toy)
    assert profiles.categories == ("Drama", "War")
    assert profiles.category == "genres"
    assert profiles.taste is not None
    # a: x is half Drama and half War, y is War, z says nothing.
    assert profiles.taste.toarray().tolist() == [[0.25, 0.75], [0.5, 0.5], [0, 0]]


def test_profiles_agree_with_naive_counting(synthetic: Dataset) -> None:
    profiles = profile_users(synthetic)
    it = synthetic.interactions
    assert it.timestamp is not None
    counts = Counter(it.item_idx.tolist())
    places = dict(zip(counts, percentile(np.array(list(counts.values()))).tolist(), strict=True))
    genres = synthetic.item_columns["genres"]
    for user in (0, 17, 123):
        rows = np.flatnonzero(it.user_idx == user).tolist()
        values = it.value[rows].tolist()
        items = it.item_idx[rows].tolist()
        expected = {
            "activity": len(rows),
            "mean_value": statistics.mean(values),
            "spread": statistics.pstdev(values),
            "mainstreamness": statistics.mean(places[item] for item in items),
            "recency": (max(it.timestamp[rows]) - max(it.timestamp)) / DAY,
        }
        found = {name: values[user] for name, values in profiles.traits.items()}
        assert found == pytest.approx(expected, rel=1e-9)
        taste: Counter[str] = Counter()
        for item in items:
            mine = genres[item].split("|")
            taste.update({genre: 1 / len(mine) / len(items) for genre in mine})
        assert profiles.taste is not None
        row = profiles.taste[[user]].toarray().ravel()
        assert dict(zip(profiles.categories, row, strict=True)) == pytest.approx(
            {name: taste.get(name, 0) for name in profiles.categories}
        )


def test_features_are_shares_and_thirds(toy: Dataset) -> None:
    features = profile_users(toy).features(["taste", "mainstreamness"])
    assert features.names == tuple(
        PREFIX + name
        for name in (
            *("taste=Drama", "taste=War"),
            *("mainstreamness=low", "mainstreamness=middle", "mainstreamness=high"),
        )
    )
    assert features.matrix.toarray().tolist() == [
        [0.25, 0.75, 1, 0, 0],  # percentiles of two are 1/4 and 3/4
        [0.5, 0.5, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]


def test_segments_are_the_outer_thirds(toy: Dataset) -> None:
    found = profile_users(toy).segments(["recency", "mean_value"])
    assert {name: members.tolist() for name, members in found.items()} == {
        "critical_users": [True, False, False],
        "generous_users": [False, True, False],
        "lapsed_users": [True, False, False],
        "recent_users": [False, True, False],
    }


def test_what_the_data_do_not_have_is_left_out() -> None:
    bare = Dataset.from_columns("bare", np.array([1, 2]), np.array([1, 1]))
    profiles = profile_users(bare)
    assert set(profiles.traits) == {"activity", "mainstreamness"}
    assert profiles.taste is None
    assert profiles.features(["taste", "spread"]).names == ()
    with pytest.raises(DataError, match=r"bare has no item column 'genre'; it says nothing"):
        profile_users(bare, "genre")


def halves(dataset: Dataset, seed: int) -> Split:
    return describe_users(random(dataset, derive(seed, "split")))


def test_profiles_do_not_change_when_test_interactions_change(synthetic: Dataset) -> None:
    split = random(synthetic, derive(1, "split"))
    rng = np.random.default_rng(0)
    n = len(split.test)
    other = Interactions(
        rng.permutation(split.test.user_idx),
        rng.integers(0, synthetic.n_items, n).astype(np.int32),
        rng.integers(1, 6, n).astype(np.float32),
        np.sort(rng.integers(0, 2**31, n)),
        synthetic.n_users,
        synthetic.n_items,
    )
    one, two = describe_users(split), describe_users(replace(split, test=other))
    assert one.train.user_features is not None
    assert two.train.user_features is not None
    assert one.train.user_features.names == two.train.user_features.names
    assert (one.train.user_features.matrix != two.train.user_features.matrix).nnz == 0
    assert one.user_segments.keys() == two.user_segments.keys()
    for name, members in one.user_segments.items():
        assert (members == two.user_segments[name]).all()
    # ... while they do change with training.
    three = halves(synthetic, 2).train.user_features
    assert three is not None
    assert (one.train.user_features.matrix != three.matrix).nnz > 0


def test_a_validation_part_is_described_from_what_is_left_of_training(synthetic: Dataset) -> None:
    """Profiles of the outer training side know the validation interactions: they must go."""
    protocol = Described(random, profiles=describe_users)
    outer = protocol(synthetic, derive(1, "split"))
    inner = carve(outer, protocol, derive(1, "validation"))
    clean = describe_users(
        replace(
            inner,
            train=replace(inner.train, user_features=synthetic.user_features),
            user_segments={},
        )
    )
    assert inner.train.user_features is not None
    assert clean.train.user_features is not None
    assert inner.train.user_features.names == clean.train.user_features.names
    assert (inner.train.user_features.matrix != clean.train.user_features.matrix).nnz == 0
    assert outer.train.user_features is not None
    assert (inner.train.user_features.matrix != outer.train.user_features.matrix).nnz > 0


def test_other_features_stay_unless_told(toy: Dataset) -> None:
    own = replace(toy, user_features=one_hot(["f", "m", "f"], "gender"))
    split = Split(own, own.interactions)
    kept = describe_users(split, features=["taste"]).train.user_features
    assert kept is not None
    assert kept.names == ("gender=f", "gender=m", "profile/taste=Drama", "profile/taste=War")
    only = describe_users(split, features=["taste"], keep=False).train.user_features
    assert only is not None
    assert only.names == ("profile/taste=Drama", "profile/taste=War")
    assert describe_users(split, features=[], keep=False).train.user_features is None


def test_a_users_profile_for_people(toy: Dataset) -> None:
    found: dict[str, Any] = profile_users(toy).of(0, n=2)
    assert found["user"] == "a"
    assert found["n_interactions"] == 3
    assert found["traits"]["mean_value"] == {"value": 3, "percentile": 0.25}
    assert found["taste"] == [
        {"category": "War", "share": 0.75, "mean_value": pytest.approx(11 / 3)},
        {"category": "Drama", "share": 0.25, "mean_value": 5},
    ]
    assert found["items"] == [
        {"item": "z", "title": "Z", "value": 1, "time": "1970-01-04 00:00:00"},
        {"item": "y", "title": "Y", "value": 3, "time": "1970-01-03 00:00:00"},
    ]
    assert profile_users(toy).of(2)["n_interactions"] == 0
