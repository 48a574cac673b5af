"""Linear and neighborhood models on positives, against plain NumPy and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from recexp.algorithms.base import Source
from recexp.algorithms.ease import EASE
from recexp.algorithms.neighbors import ItemKNN, UserKNN
from recexp.algorithms.rp3beta import RP3Beta
from recexp.algorithms.slim import SLIM
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def small(synthetic: Dataset) -> Dataset:
    """80 users of the synthetic data, items without positives among what they rated."""
    return synthetic.compact(synthetic.interactions.user_idx < 80)


@pytest.fixture(scope="module")
def ones(small: Dataset) -> Any:
    """The positives, dense float64."""
    return small.positives().csr("ones").toarray().astype(np.float64)


def everyone(model: Any, data: Dataset) -> Any:
    return model.fit(data).score(np.arange(data.n_users, dtype=np.int32))


def keep_best(matrix: Any, k: int) -> Any:
    """Row by row the k largest positive entries; of equals the first."""
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        best = np.argsort(-values, kind="stable")[:k]
        kept[row, best] = np.maximum(values[best], 0)
    return kept


def similarities_of_rows(rows: Any, similarity: str, shrinkage: float) -> Any:
    n_rows = len(rows)
    idf = np.log((1 + n_rows) / (1 + rows.sum(axis=0))) + 1
    if similarity == "bm25":
        length = rows.sum(axis=1, keepdims=True)
        weighted = rows * idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / length.mean()))
        found = weighted @ weighted.T / (1 + shrinkage)
    else:
        weighted = rows * idf if similarity == "tfidf" else rows
        norms = np.linalg.norm(weighted, axis=1)
        denominator = norms[:, None] * norms + shrinkage
        found = weighted @ weighted.T / np.where(denominator > 0, denominator, 1)
    np.fill_diagonal(found, 0)
    return found


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
@pytest.mark.parametrize("shrinkage", [0.0, 7.0])
def test_itemknn_sums_similarities_of_each_items_neighbors(
    similarity: Any, shrinkage: float, small: Dataset, ones: Any
) -> None:
    neighbors = similarities_of_rows(ones.T, similarity, shrinkage)
    model = ItemKNN(n_neighbors=ones.shape[1], similarity=similarity, shrinkage=shrinkage)
    np.testing.assert_allclose(everyone(model, small), ones @ neighbors.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_userknn_sums_similarities_of_each_users_neighbors(
    similarity: Any, small: Dataset, ones: Any
) -> None:
    neighbors = similarities_of_rows(ones, similarity, 5.0)
    model = UserKNN(n_neighbors=len(ones), similarity=similarity, shrinkage=5.0)
    np.testing.assert_allclose(everyone(model, small), neighbors @ ones, rtol=1e-4, atol=1e-4)


def test_only_the_nearest_neighbors_count(small: Dataset, ones: Any) -> None:
    items = ItemKNN(n_neighbors=3, similarity="tfidf", shrinkage=1.0).fit(small)
    exact = similarities_of_rows(ones.T, "tfidf", 1.0)
    kept = items.weights_.toarray().T  # (item, its neighbors)
    assert (np.count_nonzero(kept, axis=1) <= 3).all()
    best = np.sort(keep_best(exact, 3))[:, -3:]
    np.testing.assert_allclose(np.sort(kept)[:, -3:], best, atol=1e-5)


def test_a_history_is_compared_with_the_training_users(small: Dataset, ones: Any) -> None:
    model = UserKNN(n_neighbors=len(ones), similarity="cosine", shrinkage=2.0).fit(small)
    history = small.interactions.csr()[[5]]  # with low ratings too: they are no positives
    norms = np.linalg.norm(ones, axis=1)
    similarity = ones[5] @ ones.T / (norms[5] * norms + 2.0)
    expected = similarity @ ones
    np.testing.assert_allclose(model.score_histories(history)[0], expected, rtol=1e-4)


def test_rp3beta_walks_three_steps(small: Dataset, ones: Any) -> None:
    popularity = np.maximum(ones.sum(axis=0), 1)
    from_user = (ones / np.maximum(ones.sum(axis=1, keepdims=True), 1)) ** 0.8
    from_item = (ones.T / popularity[:, None]) ** 0.8
    weights = from_item @ from_user / popularity**0.3
    np.fill_diagonal(weights, 0)
    model = RP3Beta(alpha=0.8, beta=0.3, n_neighbors=len(weights))
    np.testing.assert_allclose(everyone(model, small), ones @ weights, rtol=1e-4, atol=1e-6)
    few = RP3Beta(alpha=0.8, beta=0.3, n_neighbors=4).fit(small).weights_
    np.testing.assert_allclose(few.toarray().T.sum(1), keep_best(weights.T, 4).sum(1), rtol=1e-4)


@pytest.mark.parametrize(("regularization", "l1_ratio"), [(0.01, 0.3), (0.03, 0.99)])
def test_slim_is_the_elastic_net_on_all_other_items(
    regularization: float, l1_ratio: float, small: Dataset, ones: Any
) -> None:
    common = ones.T @ ones
    unused = (common <= regularization * l1_ratio * len(ones)) & (common > 0)
    assert unused.any() == (l1_ratio > 0.5)  # pairs whose penalty is more than they could gain
    penalty: dict[str, Any] = {"l1_ratio": l1_ratio, "max_iter": 5_000, "tol": 1e-7}
    options: dict[str, Any] = {"fit_intercept": False, "positive": True} | penalty
    model = SLIM(regularization, l1_ratio, max_iterations=5_000, tolerance=1e-7)
    weights = model.fit(small).weights_.toarray()
    assert (np.diag(weights) == 0).all()
    assert weights.any()
    for item in range(0, ones.shape[1], 7):
        others = ones.copy()
        others[:, item] = 0
        expected = ElasticNet(alpha=regularization, **options).fit(others, ones[:, item]).coef_
        np.testing.assert_allclose(weights[:, item], expected, atol=1e-4)


@pytest.mark.parametrize("model", [EASE(), ItemKNN(), RP3Beta(), SLIM()], ids=lambda m: repr(m)[:4])
def test_the_reasons_add_up_to_the_score(model: Any, small: Dataset) -> None:
    scores = everyone(model, small)
    item = int(np.argmax(scores[3]))
    reasons = model.explain(3, item, 1000)
    history = set(small.positives().csr().toarray()[3].nonzero()[0].tolist())
    assert {int(reason.removeprefix("item:")) for reason, _ in reasons} <= history
    positive = model.weights_[sorted(history)]
    positive = positive if isinstance(positive, np.ndarray) else positive.toarray()
    total = np.maximum(positive[:, item], 0).sum()
    assert sum(weight for _, weight in reasons) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_the_reasons_of_neighbors_are_what_they_have_in_common_with_the_user(
    similarity: Any, small: Dataset, ones: Any
) -> None:
    model = UserKNN(similarity=similarity, n_neighbors=10)
    scores = everyone(model, small)
    item = int(np.argmax(scores[3]))
    reasons = model.explain(3, item, 1000)
    assert sum(weight for _, weight in reasons) == pytest.approx(scores[3, item], rel=1e-5)
    neighbors = model.neighbors_.toarray()[3]
    common = ones[(neighbors > 0) & (ones[:, item] > 0)].max(axis=0) * ones[3]
    named = {int(reason.removeprefix("item:")) for reason, _ in reasons}
    assert named == set(np.flatnonzero(common).tolist())
    stranger = int(np.flatnonzero(scores[3] == 0)[0])
    assert model.explain(3, stranger, 5) == []


@pytest.mark.parametrize("model", [EASE(), ItemKNN(), UserKNN(), RP3Beta(), SLIM()])
def test_users_without_a_positive_are_left_to_the_fallback(model: Any, synthetic: Dataset) -> None:
    rows = synthetic.interactions
    dull = rows.select((rows.user_idx != 0) | (rows.value < 4))
    model.fit(synthetic.with_interactions(dull))
    assert model.source(np.array([0, 1], np.int32)).tolist() == [Source.FALLBACK, Source.MODEL]
    assert (model.score(np.array([0], np.int32)) == 0).all()


@pytest.mark.parametrize("model", [EASE(), UserKNN()])
def test_nothing_positive_is_refused(model: Any, small: Dataset) -> None:
    low = small.interactions.select(small.interactions.value < 3)
    with pytest.raises(DataError, match=r"no positive training interaction.*positive_threshold"):
        model.fit(small.with_interactions(low))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EASE(regularization=0.0), r"algo.regularization=0.0: EASE expects a number > 0"),
        (lambda: ItemKNN(n_neighbors=0), r"algo.n_neighbors=0"),
        (lambda: UserKNN(similarity="dice"), r"algo.similarity=dice: .*cosine or tfidf"),  # type: ignore[arg-type]
        (lambda: ItemKNN(shrinkage=-1.0), r"algo.shrinkage=-1.0"),
        (lambda: ItemKNN(threads=0), r"algo.threads=0"),
        (lambda: RP3Beta(alpha=0.0), r"algo.alpha=0.0"),
        (lambda: SLIM(l1_ratio=1.5), r"algo.l1_ratio=1.5"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_normalized_and_centered_similarities_are_as_written(small: Dataset, ones: Any) -> None:
    near = keep_best(similarities_of_rows(ones.T, "tfidf", 1.0), 10)
    total = near.sum(axis=1, keepdims=True)
    near /= np.where(total > 0, total, 1)
    mean = ones.mean(axis=0)
    plain: dict[str, Any] = {"n_neighbors": 10, "shrinkage": 1.0}
    scores = everyone(ItemKNN(**plain, normalize=True), small)
    np.testing.assert_allclose(scores, ones @ near.T, atol=1e-5)
    model = ItemKNN(**plain, normalize=True, centered=True)
    expected = (ones - mean) @ near.T + mean
    np.testing.assert_allclose(everyone(model, small), expected, atol=1e-5)
    histories = small.interactions.csr("value")[:5]
    np.testing.assert_allclose(model.score_histories(histories), expected[:5], atol=1e-5)


def test_slim_keeps_the_largest_weights_of_each_item(small: Dataset) -> None:
    options: dict[str, Any] = {"regularization": 0.01, "l1_ratio": 0.01}
    whole = SLIM(**options).fit(small).weights_.toarray()
    some = SLIM(**options, n_neighbors=3).fit(small).weights_.toarray()
    assert (np.count_nonzero(whole, axis=0) > 3).any()
    np.testing.assert_array_equal(some, keep_best(whole.T, 3).T)
    with pytest.raises(ConfigError, match="n_neighbors=0"):
        SLIM(n_neighbors=0)
