"""EASE by items and by users, against its closed form in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recexp.algorithms import guards, inverse
from recexp.algorithms.ease import EASE, WeightsByUsers
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.errors import ConfigError, DataError


@pytest.fixture(scope="module", params=["more users", "more items"])
def data(request: pytest.FixtureRequest, synthetic: Dataset) -> Dataset:
    """300 users or 80 of the 200 items, users and items without positives among them."""
    few = synthetic.interactions.user_idx < 80
    return synthetic if request.param == "more users" else synthetic.compact(few)


@pytest.fixture(scope="module")
def ones(data: Dataset) -> Any:
    """The positives, dense float64."""
    return data.positives().csr("ones").toarray().astype(np.float64)


@pytest.fixture(scope="module")
def weights(ones: Any) -> Any:
    """B for lambda = 50."""
    p = np.linalg.inv(ones.T @ ones + 50 * np.eye(ones.shape[1]))
    b = np.eye(len(p)) - p / np.diag(p)
    np.testing.assert_allclose(np.diag(b), 0, atol=1e-12)
    return b


@pytest.fixture(scope="module")
def model(data: Dataset) -> EASE:
    return EASE(regularization=50.0).fit(data)


def test_the_smaller_side_is_inverted(model: EASE, data: Dataset) -> None:
    by_users = isinstance(model.weights_, WeightsByUsers)
    assert by_users == (data.n_users < data.n_items)
    square = (
        model.weights_.inverse if isinstance(model.weights_, WeightsByUsers) else model.weights_
    )
    assert square.shape == (min(data.n_users, data.n_items),) * 2


def test_scores_are_those_of_the_closed_form(model: EASE, ones: Any, weights: Any) -> None:
    scores = model.score(np.arange(len(ones), dtype=np.int32))
    assert scores.dtype == np.float32
    assert scores.flags.c_contiguous
    np.testing.assert_allclose(scores, ones @ weights, atol=1e-5)
    some = np.array([7, 3, 7], np.int32)
    np.testing.assert_array_equal(model.score(some), scores[some])


def test_a_history_scores_by_the_same_weights(model: EASE, data: Dataset, weights: Any) -> None:
    histories = data.interactions.csr("value")[:30]  # with low ratings: they are no positives
    liked = histories.toarray() >= 4
    np.testing.assert_allclose(model.score_histories(histories), liked @ weights, atol=1e-5)
    nobody = histories[:2] * 0
    assert (model.score_histories(nobody) == 0).all()


def test_similar_items_are_those_of_large_weights(model: EASE, weights: Any) -> None:
    items = np.array([5, 0, len(weights) - 1], np.int32)
    similar = model.similarities(items)
    np.testing.assert_allclose(similar, weights[items], atol=1e-6)
    assert (similar[[0, 1, 2], items] == 0).all()


def test_the_reasons_are_the_weights_of_the_history(model: EASE, ones: Any, weights: Any) -> None:
    item = int(np.argmax(ones[3] @ weights - 9 * ones[3]))
    history = np.flatnonzero(ones[3])
    best = history[np.argsort(-weights[history, item])[:3]]
    reasons = model.explain(3, item, 3)
    assert [name for name, _ in reasons] == [f"item:{one}" for one in best]
    np.testing.assert_allclose([by for _, by in reasons], weights[best, item], atol=1e-6)


def test_what_is_restored_scores_the_same(model: EASE, data: Dataset) -> None:
    restored = EASE(regularization=50.0).restore(model.state())
    users = np.arange(data.n_users, dtype=np.int32)
    histories = data.interactions.csr("value")[:9]
    np.testing.assert_array_equal(restored.score(users), model.score(users))
    np.testing.assert_array_equal(
        restored.score_histories(histories), model.score_histories(histories)
    )
    assert restored.explain(3, 5, 4) == model.explain(3, 5, 4)


def test_blocks_of_the_inverse_do_not_show(
    model: EASE, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverse, "BLOCK", 37)
    users = np.arange(data.n_users, dtype=np.int32)
    again = EASE(regularization=50.0).fit(data).score(users)
    np.testing.assert_allclose(again, model.score(users), atol=1e-6)


def test_what_does_not_fit_into_memory_is_refused(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_users = data.n_users == 80
    n = 80 if by_users else data.n_items
    what = "inverse between 80 users" if by_users else f"weights between {n} items"
    monkeypatch.setattr(guards, "_memory_bytes", lambda: 6.0 * n**2 - 1)
    with pytest.raises(DataError, match=rf"EASE needs 0.0 GB for the {what}; .*algo=itemknn"):
        EASE().check_memory(data)
    monkeypatch.setattr(guards, "_memory_bytes", lambda: 6.0 * n**2)
    EASE().check_memory(data)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
def test_a_matrix_that_cannot_be_inverted_is_refused(shape: tuple[int, int]) -> None:
    users, items = (side.ravel() for side in np.indices(shape))
    ids = IdMap(range(shape[0])), IdMap(range(shape[1]))
    alike = Dataset.from_indices("alike", ids[0], users, ids[1], items)
    with pytest.raises(ConfigError, match=r"algo.regularization=1e-20: .*use a larger value"):
        EASE(regularization=1e-20).fit(alike)
