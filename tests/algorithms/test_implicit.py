"""ALS and BPR are the library's; folding in and reasons are ours and exact."""

from __future__ import annotations

from typing import Any

import implicit.cpu.als
import implicit.cpu.bpr
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recexp.algorithms.base import Source
from recexp.algorithms.implicit import ALS, BPR
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError


@pytest.fixture(scope="module")
def positives(synthetic: Dataset) -> Any:
    return csr_matrix(synthetic.positives().csr("ones"))


@pytest.fixture(scope="module")
def als_library(positives: Any) -> Any:
    with threadpool_limits(1, user_api="blas"):
        library = implicit.cpu.als.AlternatingLeastSquares(
            8, regularization=2.0, alpha=5.0, iterations=4, random_state=3, num_threads=1
        )
        library.fit(positives, show_progress=False)
    return library


def als(**options: Any) -> ALS:
    return ALS(8, 4, regularization=2.0, confidence=5.0, seed=3, **options)


def test_als_is_the_librarys(synthetic: Dataset, als_library: Any) -> None:
    users = np.arange(synthetic.n_users, dtype=np.int32)
    known = synthetic.positives().user_counts() > 0
    sold = synthetic.positives().item_counts() > 0
    expected = als_library.user_factors @ als_library.item_factors.T
    for threads in (1, 2):
        scores = als(threads=threads).fit(synthetic).score(users)
        np.testing.assert_allclose(scores[known][:, sold], expected[known][:, sold], atol=1e-5)


def test_histories_are_solved_as_the_library_recalculates_users(
    synthetic: Dataset, positives: Any, als_library: Any
) -> None:
    histories = synthetic.interactions.csr()[:20]  # with low ratings, which are no positives
    expected = als_library.recalculate_user(np.arange(20), positives[:20])
    scores = als().fit(synthetic).score_histories(histories)
    sold = synthetic.positives().item_counts() > 0
    expected_scores = expected @ als_library.item_factors.T
    np.testing.assert_allclose(scores[:, sold], expected_scores[:, sold], atol=1e-4)


def test_the_reasons_add_up_to_the_score_of_the_history(
    synthetic: Dataset, positives: Any, als_library: Any
) -> None:
    model = als().fit(synthetic)
    score, contributions, _ = als_library.explain(4, positives, 7, N=1000)
    reasons = dict(model.explain(4, 7, 1000))
    for item, weight in contributions:
        if weight > 1e-6:
            assert reasons[f"item:{item}"] == pytest.approx(weight, rel=1e-3)
    folded = model.score_histories(synthetic.interactions.csr()[[4]])[0, 7]
    assert score == pytest.approx(folded, abs=1e-4)


def test_bpr_is_the_librarys(synthetic: Dataset, positives: Any) -> None:
    library = implicit.cpu.bpr.BayesianPersonalizedRanking(
        8, learning_rate=0.05, regularization=0.02, iterations=5, num_threads=1, random_state=3
    )
    library.fit(positives, show_progress=False)
    model = BPR(8, 5, learning_rate=0.05, regularization=0.02, seed=3).fit(synthetic)
    sold = synthetic.positives().item_counts() > 0
    expected = library.user_factors[:9] @ library.item_factors.T
    scores = model.score(np.arange(9, dtype=np.int32))
    np.testing.assert_allclose(scores[:, sold], expected[:, sold], atol=1e-5)


@pytest.mark.parametrize("model", [ALS(4, 2), BPR(4, 2)])
def test_what_was_not_trained_scores_zero(model: Any, synthetic: Dataset) -> None:
    rows = synthetic.interactions
    kept = (rows.user_idx != 3) & (rows.item_idx != 5)
    model.fit(synthetic.with_interactions(rows.select(kept)))
    scores = model.score(np.arange(synthetic.n_users, dtype=np.int32))
    assert (scores[3] == 0).all()
    assert (scores[:, 5] == 0).all()
    assert np.count_nonzero(scores[0]) > 100
    assert model.source(np.array([3, 4], np.int32)).tolist() == [Source.FALLBACK, Source.MODEL]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ALS(n_factors=0), r"algo.n_factors=0: ALS expects a whole number >= 1"),
        (lambda: ALS(confidence=0.5), r"algo.confidence=0.5"),
        (lambda: ALS(regularization=0.0), r"algo.regularization=0.0"),
        (lambda: BPR(learning_rate=0.0), r"algo.learning_rate=0.0"),
        (lambda: BPR(threads=0), r"algo.threads=0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
