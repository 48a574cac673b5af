"""The LightFM adapter scores as the library does, also for what the library never saw."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lightfm import LightFM as Library
from scipy.sparse import coo_matrix, csr_array, csr_matrix, identity
from scipy.sparse import hstack as beside

from recexp.algorithms.base import Source, deterministic
from recexp.algorithms.lightfm import LightFM
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.early_stopping import measure_objective
from recexp.errors import ConfigError, DataError
from recexp.splits.base import Split
from recexp.splits.cold import cold_item, cold_user


def with_strangers(dataset: Dataset) -> Dataset:
    """`dataset` and two users and items without interactions; the last of each has no features."""
    rows = dataset.interactions
    larger = Dataset.from_indices(
        dataset.name,
        IdMap([*dataset.users.ids, "cold", "unknown"]),
        rows.user_idx,
        IdMap([*dataset.items.ids, "cold", "unknown"]),
        rows.item_idx,
        rows.value,
        rows.timestamp,
        scale=dataset.scale,
    )

    def extended(features: Features | None) -> Features:
        assert features is not None
        known = features.matrix.toarray()
        matrix = np.vstack([known, known[:1], np.zeros_like(known[:1])])
        return Features(csr_array(matrix), features.names)

    return replace(
        larger,
        user_features=extended(dataset.user_features),
        item_features=extended(dataset.item_features),
    )


@pytest.fixture(scope="module")
def small(synthetic: Dataset) -> Dataset:
    """A part of the synthetic data in which every user has a positive."""
    positive = synthetic.positives().user_counts() > 0
    few = synthetic.interactions.user_idx < 60
    return synthetic.compact(few & positive[synthetic.interactions.user_idx])


def rows_of(n: int, features: Features | None, normalize: bool = False) -> Any:
    rows = identity(n, np.float32, "csr")
    if features is not None:
        rows = csr_matrix(beside([rows, csr_matrix(features.matrix)]))
    if normalize:
        rows = csr_matrix(rows / rows.sum(axis=1))
    return csr_matrix(rows, dtype=np.float32)


def trained_library(dataset: Dataset, *, normalize: bool, **options: Any) -> tuple[Any, Any, Any]:
    positives = dataset.positives()
    users = rows_of(dataset.n_users, dataset.user_features, normalize)
    items = rows_of(dataset.n_items, dataset.item_features, normalize)
    at = (positives.user_idx.copy(), positives.item_idx.copy())
    shape = (dataset.n_users, dataset.n_items)
    ones = coo_matrix((np.ones(len(positives), np.float32), at), shape)
    library = Library(no_components=8, random_state=3, **options)
    library.fit(ones, user_features=users, item_features=items, epochs=3)
    return library, users, items


@pytest.mark.parametrize("loss", ["warp", "bpr", "warp-kos"])
@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_it_equals_the_librarys_predictions(
    loss: Any, features: bool, normalize: bool, small: Dataset
) -> None:
    data = small if features else replace(small, user_features=None, item_features=None)
    library, users, items = trained_library(data, loss=loss, normalize=normalize)
    user, item = (grid.ravel() for grid in np.indices((small.n_users, small.n_items)))
    expected = library.predict(user, item, item_features=items, user_features=users)
    model = LightFM(
        loss,
        n_factors=8,
        epochs=3,
        item_features=features,
        user_features=features,
        normalize_features=normalize,
        seed=3,
    ).fit(small)
    scores = model.score(np.arange(small.n_users, dtype=np.int32))
    np.testing.assert_allclose(scores.ravel(), expected, rtol=1e-5, atol=1e-5)


def test_logistic_learns_from_low_ratings_as_negatives(small: Dataset) -> None:
    rows = small.interactions
    sign = np.where(rows.value >= 4, 1, -1).astype(np.float32)
    at = (rows.user_idx.copy(), rows.item_idx.copy())
    library = Library(8, loss="logistic", random_state=3)
    library.fit(coo_matrix((sign, at), (small.n_users, small.n_items)), epochs=3)
    model = LightFM(
        "logistic", n_factors=8, epochs=3, item_features=False, user_features=False, seed=3
    )
    scores = model.fit(small).score(np.array([5], np.int32))[0]
    np.testing.assert_allclose(scores, library.predict(5, np.arange(small.n_items)), atol=1e-5)


def test_ratings_weigh_relative_to_their_mean(small: Dataset) -> None:
    positives = small.positives()
    at = (positives.user_idx.copy(), positives.item_idx.copy())
    shape = (small.n_users, small.n_items)
    library = Library(8, loss="warp", random_state=3)
    library.fit(
        coo_matrix((np.ones(len(positives), np.float32), at), shape),
        sample_weight=coo_matrix((positives.value / positives.value.mean(), at), shape),
        epochs=3,
    )
    model = LightFM(
        n_factors=8,
        epochs=3,
        item_features=False,
        user_features=False,
        weight_by_rating=True,
        seed=3,
    )
    scores = model.fit(small).score(np.array([5], np.int32))[0]
    np.testing.assert_allclose(scores, library.predict(5, np.arange(small.n_items)), atol=1e-5)


def test_strangers_have_their_features_and_a_mean_identity(small: Dataset) -> None:
    library, users, items = trained_library(small, loss="warp", normalize=False)
    model = LightFM(n_factors=8, epochs=3, seed=3).fit(with_strangers(small))
    scores = model.score(np.arange(small.n_users + 2, dtype=np.int32))

    def representations(
        bias: Any, embedding: Any, rows: Any, n: int, features: Any
    ) -> tuple[Any, Any]:
        side = np.vstack([features[:1].toarray(), np.zeros((1, features.shape[1]))])
        strangers = np.hstack([np.full((2, n), 1 / n), side])
        everyone = np.vstack([rows.toarray(), strangers])
        return everyone @ bias, everyone @ embedding

    assert small.user_features is not None
    assert small.item_features is not None
    ub, ue = representations(
        library.user_biases,
        library.user_embeddings,
        users,
        small.n_users,
        small.user_features.matrix,
    )
    ib, ie = representations(
        library.item_biases,
        library.item_embeddings,
        items,
        small.n_items,
        small.item_features.matrix,
    )
    np.testing.assert_allclose(scores, ub[:, None] + ib + ue @ ie.T, rtol=1e-4, atol=1e-4)


def test_strangers_do_not_change_what_is_learned(small: Dataset) -> None:
    alone = LightFM(epochs=2).fit(small)
    beside_strangers = LightFM(epochs=2).fit(with_strangers(small))
    n_users, n_items = small.n_users, small.n_items
    np.testing.assert_array_equal(alone.item_factors_, beside_strangers.item_factors_[:n_items])
    np.testing.assert_array_equal(alone.user_factors_, beside_strangers.user_factors_[:n_users])


def test_it_says_who_is_answered_by_features_alone(small: Dataset) -> None:
    larger = with_strangers(small)
    users = np.array([0, small.n_users, small.n_users + 1], np.int32)
    model = LightFM(epochs=1).fit(larger)
    assert model.source(users).tolist() == [Source.MODEL, Source.FEATURES, Source.FALLBACK]
    without = LightFM(epochs=1, user_features=False).fit(larger)
    assert without.source(users).tolist() == [Source.MODEL, Source.FALLBACK, Source.FALLBACK]


def test_a_diverged_fit_says_what_to_lower(small: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"LightFM diverged.*lower algo.learning_rate"):
        LightFM(learning_rate=1e30).fit(small)


def test_a_missing_library_is_one_line(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightfm", None)
    with pytest.raises(ConfigError, match=r"algo=lightfm needs the package lightfm-next") as error:
        LightFM().fit(small)
    assert "\n" not in str(error.value)


def test_data_it_cannot_learn_from_is_refused(small: Dataset) -> None:
    clicks = replace(small, scale=None, relevance_threshold=None)
    with pytest.raises(DataError, match=r"has no ratings, which LightFM needs"):
        LightFM("logistic").fit(clicks)
    with pytest.raises(DataError, match=r"no positive training interaction"):
        LightFM(positive_threshold=6.0).fit(small)
    with pytest.raises(DataError, match=r"loss=logistic .* there are none"):
        LightFM("logistic", positive_threshold=1.0).fit(small)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "hinge"}, r"algo.loss=hinge: LightFM expects one of warp, bpr"),
        ({"learning_schedule": "sgd"}, r"algo.learning_schedule=sgd"),
        ({"n_factors": 0}, r"algo.n_factors=0"),
        ({"kos_k": 5, "kos_n": 4}, r"algo.kos_n=4: .* at least kos_k \(5\)"),
        ({"item_regularization": -1.0}, r"algo.item_regularization=-1.0"),
        ({"loss": "warp-kos", "weight_by_rating": True}, r"algo.weight_by_rating=True"),
        ({"threads": 0}, r"algo.threads=0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LightFM(**options)


@pytest.mark.movielens
def test_warp_is_clearly_above_popularity_on_movielens(movielens: Dataset) -> None:
    rows = movielens.interactions
    test = np.random.default_rng(0).random(len(rows)) < 0.2
    train = movielens.with_interactions(rows.select(~test))
    relevant = np.zeros((train.n_users, train.n_items), bool)
    liked = rows.select(test & (rows.value >= 4))
    relevant[liked.user_idx, liked.item_idx] = True

    def ndcg_at_10(model: Any) -> float:
        scores = model.fit(train).score(np.arange(train.n_users, dtype=np.int32))
        scores[train.interactions.user_idx, train.interactions.item_idx] = -np.inf
        gain = 1 / np.log2(np.arange(2, 12))
        found = []
        for row, good in zip(scores, relevant, strict=True):
            if good.any():
                hits = good[np.argsort(-row, kind="stable")[:10]]
                found.append((hits @ gain) / gain[: good.sum()].sum())
        return float(np.mean(found))

    popularity, warp = ndcg_at_10(Popularity()), ndcg_at_10(LightFM())
    assert popularity > 0.15
    assert warp > 1.5 * popularity


def test_epoch_by_epoch_it_is_the_library(small: Dataset) -> None:
    library, _, _ = trained_library(small, loss="warp", normalize=False)
    model = LightFM(n_factors=8, epochs=3, seed=3)
    assert list(model.fit_epochs(small)) == [1, 2, 3]
    expected = library.item_embeddings  # features are summed in another order
    np.testing.assert_allclose(model.parameters_["item_embeddings"], expected, atol=1e-5)
    np.testing.assert_allclose(model.parameters_["user_biases"], library.user_biases, atol=1e-5)


def test_it_says_when_threads_leave_it_to_chance() -> None:
    assert deterministic(LightFM())
    assert not deterministic(LightFM(threads=2))


def divided(whole: Dataset) -> tuple[Dataset, Dataset]:
    """Without the last 15 users and items, and what comes with them."""
    n_users, n_items = whole.n_users - 15, whole.n_items - 15
    rows = whole.interactions
    first = (rows.user_idx < n_users) & (rows.item_idx < n_items)
    early = Dataset.from_indices(
        "early",
        IdMap(whole.users.ids[:n_users]),
        rows.user_idx[first],
        IdMap(whole.items.ids[:n_items]),
        rows.item_idx[first],
        rows.value[first],
        scale=whole.scale,
    )
    assert whole.user_features is not None
    assert whole.item_features is not None
    described = replace(
        early,
        user_features=whole.user_features.rows(np.arange(n_users)),
        item_features=whole.item_features.rows(np.arange(n_items)),
    )
    return described, whole.with_interactions(rows.select(~first))


@pytest.mark.parametrize("schedule", ["adagrad", "adadelta"])
@pytest.mark.parametrize("loss", ["warp", "bpr", "warp-kos", "logistic"])
def test_learning_on_leaves_no_positive_out(loss: Any, schedule: Any, small: Dataset) -> None:
    early, late = divided(small)
    options: dict[str, Any] = {"n_factors": 8, "epochs": 15, "learning_schedule": schedule}
    model = LightFM(loss, **options).fit(early)

    def told_apart(score: Any, likes: Any) -> float:
        liked = likes.csr("ones").toarray() > 0
        shares = [
            (row[good][:, None] > row[~good]).mean()
            for row, good in zip(score, liked, strict=True)
            if good.any()
        ]
        return float(np.mean(shares))

    users = np.arange(small.n_users, dtype=np.int32)
    nobody = late.with_interactions(late.interactions.select(np.empty(0, int)))
    before = told_apart(model.partial_fit(nobody).score(users), late.positives())
    after = told_apart(model.partial_fit(late).score(users), late.positives())
    assert after > before + (0.02 if loss == "logistic" else 0.05)
    assert model.source(users[-1:]).tolist() == [Source.MODEL]


def test_earlier_positives_are_not_learned_as_negatives() -> None:
    """One user, four items: the first two are liked before, the third later."""
    ids = IdMap(range(1)), IdMap(range(4))

    def likes(items: list[int]) -> Dataset:
        idx = np.array(items)
        return Dataset.from_indices("likes", ids[0], np.zeros_like(idx), ids[1], idx)

    model = LightFM("warp", 2, epochs=1).fit(likes([0, 1]))
    before = model.score(np.array([0], np.int32))[0]
    after = model.partial_fit(likes([2])).score(np.array([0], np.int32))[0]
    # warp draws negatives among items 0, 1 and 2, and the user likes them all: nothing to learn.
    np.testing.assert_array_equal(after[:2], before[:2])


def test_other_side_features_are_refused(small: Dataset) -> None:
    early, late = divided(small)
    model = LightFM(epochs=1).fit(early)
    with pytest.raises(DataError, match=r"has other side features than LightFM was trained with"):
        model.partial_fit(replace(late, item_features=None))


@pytest.mark.movielens
def test_histories_of_strangers_beat_popularity_on_movielens(movielens: Dataset) -> None:
    """Random histories: the first ratings there are what the site showed first, to everybody."""
    untimed = movielens.with_interactions(replace(movielens.interactions, timestamp=None))
    split = cold_user(untimed, np.random.default_rng(1), n_history=10)
    popularity, folded = ndcg_at_10(Popularity(), split), ndcg_at_10(LightFM(), split)
    assert folded > 1.1 * popularity > 0.3


@pytest.mark.movielens
def test_genres_tell_of_items_never_seen_on_movielens(movielens: Dataset) -> None:
    split = cold_item(movielens, np.random.default_rng(1))
    with_genres = ndcg_at_10(LightFM(epochs=10), split)
    without = ndcg_at_10(LightFM(epochs=10, item_features=False), split)
    assert with_genres > 1.5 * without


def ndcg_at_10(model: Any, split: Split) -> float:
    model.fit(split.train)
    return measure_objective(model, split, "ndcg@10")
