"""Every adapter scores and predicts exactly as Surprise does, trained by Surprise on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import surprise

from recexp.algorithms.surprise import neighborhoods
from recexp.algorithms.surprise.baseline import Baseline
from recexp.algorithms.surprise.co_clustering import CoClustering
from recexp.algorithms.surprise.factors import NMF, SVD, SVDpp
from recexp.algorithms.surprise.knn import KNNBaseline, KNNBasic, KNNMeans, KNNZScore
from recexp.algorithms.surprise.slope_one import SlopeOne
from recexp.data.dataset import Dataset

MODELS: dict[str, tuple[Any, Any]] = {
    "svd": (
        SVD(n_factors=5, epochs=3, learning_rate=0.01, regularization=0.1, init_std=0.3, seed=1),
        surprise.SVD(5, 3, init_std_dev=0.3, lr_all=0.01, reg_all=0.1, random_state=1),
    ),
    "svd-unbiased": (
        SVD(n_factors=5, epochs=3, biased=False, seed=1),
        surprise.SVD(5, 3, biased=False, random_state=1),
    ),
    "svdpp": (
        SVDpp(n_factors=4, epochs=3, learning_rate=0.01, regularization=0.1, init_std=0.3, seed=1),
        surprise.SVDpp(4, 3, init_std_dev=0.3, lr_all=0.01, reg_all=0.1, random_state=1),
    ),
    "nmf": (
        NMF(n_factors=4, epochs=5, regularization=0.1, seed=1),
        surprise.NMF(4, 5, reg_pu=0.1, reg_qi=0.1, random_state=1),
    ),
    "nmf-biased": (
        NMF(
            n_factors=3, epochs=5, biased=True, learning_rate=0.01, bias_regularization=0.1, seed=1
        ),
        surprise.NMF(
            3, 5, biased=True, lr_bu=0.01, lr_bi=0.01, reg_bu=0.1, reg_bi=0.1, random_state=1
        ),
    ),
    "baseline": (
        Baseline(epochs=4, user_regularization=5, item_regularization=3),
        surprise.BaselineOnly({"n_epochs": 4, "reg_u": 5, "reg_i": 3}, verbose=False),
    ),
    "baseline-sgd": (
        Baseline(method="sgd", epochs=4, learning_rate=0.01, regularization=0.1),
        surprise.BaselineOnly(
            {"method": "sgd", "n_epochs": 4, "learning_rate": 0.01, "reg": 0.1}, verbose=False
        ),
    ),
}
KNN = {
    "basic": (KNNBasic, surprise.KNNBasic),
    "means": (KNNMeans, surprise.KNNWithMeans),
    "zscore": (KNNZScore, surprise.KNNWithZScore),
    "baseline": (KNNBaseline, surprise.KNNBaseline),
}
for _name, (_ours, _theirs) in KNN.items():
    for _user_based in (True, False):
        for _similarity in ("msd", "cosine", "pearson", "pearson_baseline"):
            _side = "users" if _user_based else "items"
            # Few neighbors and many equal similarities: the rules for ties decide.
            MODELS[f"knn-{_name}-{_side}-{_similarity}"] = (
                _ours(
                    n_neighbors=3,
                    min_neighbors=2,
                    user_based=_user_based,
                    similarity=_similarity,
                    min_support=2,
                    shrinkage=10.0,
                ),
                _theirs(
                    k=3,
                    min_k=2,
                    sim_options={
                        "name": _similarity,
                        "user_based": _user_based,
                        "min_support": 2,
                        "shrinkage": 10.0,
                    },
                    verbose=False,
                ),
            )


def all_pairs(train: Dataset) -> tuple[Any, Any]:
    users, items = np.indices((train.n_users, train.n_items), dtype=np.int32)
    return users.ravel(), items.ravel()


def assert_equal(
    model: Any, estimate: Any, impossible: Any, users: Any, items: Any, n_users: int
) -> None:
    predicted = model.predict(users, items)
    np.testing.assert_array_equal(np.isnan(predicted), impossible)
    np.testing.assert_allclose(predicted[~impossible], estimate[~impossible], rtol=0, atol=1e-9)
    scores = model.score(np.arange(n_users, dtype=np.int32))[users, items]
    np.testing.assert_allclose(scores, estimate, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_it_equals_surprise_on_all_pairs(name: str, small: Dataset, library: Any) -> None:
    ours, theirs = MODELS[name]
    users, items = all_pairs(small)
    estimate, impossible = library(theirs, small, users.tolist(), items.tolist())
    assert_equal(replace(ours).fit(small), estimate, impossible, users, items, small.n_users)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("knn")])
def test_large_problems_computed_by_numba_do_too(
    name: str, small: Dataset, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighborhoods, "COMPILED_FROM", 0)
    ours, theirs = MODELS[name]
    users, items = all_pairs(small)
    estimate, _ = library(theirs, small, users.tolist(), items.tolist())
    model = replace(ours).fit(small)
    everyone = np.arange(small.n_users, dtype=np.int32)
    scores = model.score(everyone)
    np.testing.assert_allclose(scores[users, items], estimate, rtol=0, atol=1e-6)
    blocks = [model.score(block) for block in np.array_split(everyone[::-1], 3)]
    np.testing.assert_array_equal(np.concatenate(blocks)[::-1], scores)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SlopeOne(), surprise.SlopeOne()),
        (CoClustering(2, 3, 4, seed=1), surprise.CoClustering(2, 3, 4, random_state=1)),
    ],
    ids=["slope_one", "co_clustering"],
)
def test_models_of_whole_ratings_see_half_stars_doubled(
    ours: Any, theirs: Any, small: Dataset, library: Any
) -> None:
    per_unit = 1 / small.scale[0] if small.scale else 1
    rows = small.interactions
    doubled = Dataset.from_indices(
        "doubled",
        small.users,
        rows.user_idx,
        small.items,
        rows.item_idx,
        rows.value * per_unit,
        scale=(1.0, 5.0 * per_unit),
    )
    users, items = all_pairs(small)
    estimate, impossible = library(theirs, doubled, users.tolist(), items.tolist())
    estimate = estimate / per_unit
    assert_equal(replace(ours).fit(small), estimate, impossible, users, items, small.n_users)


def test_repeated_pairs_count_as_often_as_in_surprise(small: Dataset, library: Any) -> None:
    rows = small.interactions
    again = np.concatenate([np.arange(len(rows)), np.arange(0, len(rows), 3)])
    value = rows.value[again].copy()
    value[len(rows) :] = 2.0
    repeated = Dataset.from_indices(
        "repeated",
        small.users,
        rows.user_idx[again],
        small.items,
        rows.item_idx[again],
        value,
        scale=small.scale,
    )
    users, items = all_pairs(repeated)
    for ours, theirs in (
        (KNNMeans(n_neighbors=3), surprise.KNNWithMeans(k=3, verbose=False)),
        (SVDpp(epochs=2, seed=1), surprise.SVDpp(n_epochs=2, random_state=1)),
    ):
        estimate, impossible = library(theirs, repeated, users.tolist(), items.tolist())
        assert_equal(ours.fit(repeated), estimate, impossible, users, items, small.n_users)


@pytest.mark.movielens
@pytest.mark.parametrize(
    ("ours", "theirs", "n_others"),
    [
        (SVD(), surprise.SVD(random_state=42), 30_000),
        (KNNBaseline(), surprise.KNNBaseline(verbose=False), 1_000),
    ],
    ids=["svd", "knn_baseline"],
)
def test_it_equals_surprise_on_movielens(
    ours: Any, theirs: Any, n_others: int, movielens_split: Any, library: Any
) -> None:
    train, test = movielens_split
    rng = np.random.default_rng(1)
    users = np.append(test.user_idx, rng.integers(train.n_users, size=n_others)).astype(np.int32)
    items = np.append(test.item_idx, rng.integers(train.n_items, size=n_others)).astype(np.int32)
    estimate, impossible = library(theirs, train, users.tolist(), items.tolist())
    assert_equal(ours.fit(train), estimate, impossible, users, items, train.n_users)


@pytest.mark.movielens
@pytest.mark.parametrize("user_based", [True, False], ids=["users", "items"])
@pytest.mark.parametrize("similarity", ["msd", "cosine", "pearson", "pearson_baseline"])
@pytest.mark.parametrize("name", KNN)
def test_every_knn_equals_surprise_on_every_pair_of_a_split(
    name: str, similarity: str, user_based: bool, movielens_split: Any, library: Any
) -> None:
    train, test = movielens_split
    few = train.with_interactions(train.interactions.select(train.interactions.user_idx < 150))
    pairs = test.select(test.user_idx < 150)
    ours, theirs = KNN[name]
    options = {"name": similarity, "user_based": user_based}
    estimate, impossible = library(
        theirs(sim_options=options, verbose=False),
        few,
        pairs.user_idx.tolist(),
        pairs.item_idx.tolist(),
    )
    model = ours(similarity=similarity, user_based=user_based).fit(few)
    predicted = model.predict(pairs.user_idx, pairs.item_idx)
    np.testing.assert_array_equal(np.isnan(predicted), impossible)
    np.testing.assert_allclose(predicted[~impossible], estimate[~impossible], rtol=0, atol=1e-6)


@pytest.mark.movielens
def test_svd_on_movielens_is_as_good_as_surprise_says(movielens_split: Any) -> None:
    train, test = movielens_split
    predicted = np.clip(SVD().fit(train).predict(test.user_idx, test.item_idx), 1, 5)
    rmse = np.sqrt(np.mean((predicted - test.value) ** 2))
    assert 0.93 < rmse < 0.95  # README of Surprise: 0.934 over five folds
