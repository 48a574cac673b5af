"""ALS and BPR are the library's; folding in and reasons are ours and exact."""

from __future__ import annotations

from typing import Any

import implicit.cpu.als
import implicit.cpu.bpr
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recexp.algorithms.base import Source, deterministic
from recexp.algorithms.bpr import BPR
from recexp.algorithms.implicit import ALS
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.errors import ConfigError, DataError


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


def test_als_is_the_librarys_to_the_last_bit_epoch_by_epoch(
    synthetic: Dataset, positives: Any, als_library: Any
) -> None:
    model = als(threads=1)
    assert list(model.fit_epochs(synthetic)) == [1, 2, 3, 4]
    np.testing.assert_array_equal(model.user_factors_, als_library.user_factors)
    np.testing.assert_array_equal(model.item_factors_, als_library.item_factors)


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


def likes(pairs: list[tuple[int, int, float]], n_users: int, n_items: int) -> Dataset:
    users, items, values = map(np.array, zip(*pairs, strict=True))
    ids = IdMap(range(n_users)), IdMap(range(n_items))
    return Dataset.from_indices("plays", ids[0], users, ids[1], items, values.astype(np.float32))


PLAYS = [
    *((0, 0, 2.0), (0, 1, 1.0), (0, 2, 4.0), (1, 0, 1.0), (1, 2, 3.0), (2, 3, 2.0), (2, 4, 1.0)),
    *((3, 3, 5.0), (3, 4, 2.0), (3, 0, 1.0), (4, 1, 1.0), (4, 4, 1.0), (5, 2, 1.0), (6, 3, 1.0)),
]


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("by_value", [False, True])
def test_als_ends_where_each_row_pays_for_its_weights(exponent: float, by_value: bool) -> None:
    data = likes(PLAYS, 8, 6)  # the last user and the last item have nothing
    model = ALS(
        2, 300, 0.8, exponent, confidence=6.0, weight_by_value=by_value, threads=1, seed=1
    ).fit(data)
    mean = np.mean([value for _, _, value in PLAYS])
    weights = np.ones((7, 5))
    liked = np.zeros((7, 5))
    for user, item, value in PLAYS:
        weights[user, item] = 6 * value / mean if by_value else 6.0
        liked[user, item] = 1
    sizes = np.concatenate([weights.sum(axis=1), weights.sum(axis=0)]) ** exponent
    penalties = 0.8 * sizes / sizes.mean()  # n_r^nu, of mean 0.8 over all rows
    x, y = model.user_factors_[:7].astype(float), model.item_factors_[:5].astype(float)
    sides = ((x, y, weights, liked, penalties[:7]), (y, x, weights.T, liked.T, penalties[7:]))
    for rows, others, c, p, penalty in sides:
        for r in range(len(rows)):
            slope = (c[r] * (rows[r] @ others.T - p[r])) @ others + penalty[r] * rows[r]
            np.testing.assert_allclose(slope, 0, atol=2e-5)
    assert np.abs(x).max() > 0.1
    folded = model.score_histories(data.interactions.csr())
    np.testing.assert_allclose(folded, model.score(np.arange(8, dtype=np.int32)), atol=1e-4)


def test_frequency_scaling_is_that_of_the_ials_paper() -> None:
    """Rendle et al. 2022, (1) and (3): their minimum, from ours rescaled, has slope 0."""
    data = likes(PLAYS, 7, 5)
    model = ALS(2, 300, 0.8, 1.0, confidence=6.0, threads=1, seed=1).fit(data)
    alpha, shrunk = 1 / 5, 5 / 6  # 1 / (c - 1), and (c - 1) / c
    w, h = np.sqrt(shrunk) * model.user_factors_, np.sqrt(shrunk) * model.item_factors_
    liked = np.zeros((7, 5))
    liked[[p[0] for p in PLAYS], [p[1] for p in PLAYS]] = 1
    of_users, of_items = liked.sum(axis=1) + alpha * 5, liked.sum(axis=0) + alpha * 7
    mean_weight = np.concatenate([of_users, of_items]).mean() / alpha
    strength = 0.8 * shrunk / mean_weight  # regularization (c - 1) / (c mean(n_r))
    scores = w @ h.T
    slope = (liked * (scores - 1) + alpha * scores) @ h + strength * of_users[:, None] * w
    np.testing.assert_allclose(slope, 0, atol=1e-5)


def test_new_likes_are_solved_as_the_library_does_it(positives: Any, synthetic: Dataset) -> None:
    model = als(threads=1)
    early, late = divided(synthetic)
    model.fit(early)
    with threadpool_limits(1, user_api="blas"):
        library = implicit.cpu.als.AlternatingLeastSquares(
            8, regularization=2.0, alpha=5.0, random_state=3, num_threads=1
        )
        library.user_factors, library.item_factors = (
            np.vstack([known, np.zeros((n - len(known), 8), np.float32)])
            for known, n in zip(model.factors(), positives.shape, strict=True)
        )
        users, items = late.positives().users(), late.positives().items()
        library.partial_fit_users(users, positives[users])
        library.partial_fit_items(items, positives.T.tocsr()[items])
        library.partial_fit_users(users, positives[users])
    model.partial_fit(late)
    np.testing.assert_allclose(model.user_factors_, library.user_factors, atol=2e-4)
    np.testing.assert_allclose(model.item_factors_, library.item_factors, atol=2e-4)
    folded = model.score_histories(synthetic.interactions.csr()[users])
    np.testing.assert_allclose(folded, model.score(users), atol=1e-4)


def divided(whole: Dataset) -> tuple[Dataset, Dataset]:
    """Without the last 20 users and items, and what comes with them."""
    rows = whole.interactions
    n_users, n_items = whole.n_users - 20, whole.n_items - 20
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
    return early, whole.with_interactions(rows.select(~first))


def test_values_that_cannot_weigh_are_refused() -> None:
    plays = likes([(0, 0, 1.0), (1, 1, 0.0)], 2, 2)
    with pytest.raises(DataError, match=r"plays has positives of value 0, .* weight_by_value=true"):
        ALS(2, weight_by_value=True).fit(plays)


def test_bpr_epoch_by_epoch_is_the_librarys(synthetic: Dataset, positives: Any) -> None:
    library = implicit.cpu.bpr.BayesianPersonalizedRanking(
        8, iterations=5, num_threads=1, random_state=3
    )
    library.fit(positives, show_progress=False)
    model = BPR(8, 5, learning_rate=0.01, regularization=0.01, popularity_correction=0, seed=3)
    norms = [float(np.abs(model.item_factors_).sum()) for _ in model.fit_epochs(synthetic)]
    assert len(set(norms)) == 5
    trained = np.diff(positives.indptr) > 0
    np.testing.assert_array_equal(model.user_factors_[trained], library.user_factors[trained])
    sold = synthetic.positives().item_counts() > 0
    np.testing.assert_array_equal(model.item_factors_[sold], library.item_factors[sold])


def test_bpr_says_when_threads_leave_it_to_chance() -> None:
    assert deterministic(BPR())
    assert not deterministic(BPR(threads=2))
    assert deterministic(ALS(threads=2))


def test_bpr_is_the_librarys(synthetic: Dataset, positives: Any) -> None:
    library = implicit.cpu.bpr.BayesianPersonalizedRanking(
        8, learning_rate=0.05, regularization=0.02, iterations=5, num_threads=1, random_state=3
    )
    library.fit(positives, show_progress=False)
    model = BPR(
        8, 5, learning_rate=0.05, regularization=0.02, popularity_correction=0.0, seed=3
    ).fit(synthetic)
    sold = synthetic.positives().item_counts() > 0
    expected = library.user_factors[:9] @ library.item_factors.T
    scores = model.score(np.arange(9, dtype=np.int32))
    np.testing.assert_allclose(scores[:, sold], expected[:, sold], atol=1e-5)


def test_bpr_gives_back_the_popularity_that_its_negatives_take(synthetic: Dataset) -> None:
    plain = BPR(8, 5, popularity_correction=0.0).fit(synthetic)
    users = np.arange(9, dtype=np.int32)
    counts = synthetic.positives().item_counts()
    log = np.log(np.where(counts > 0, counts, 1))
    half = BPR(8, 5, popularity_correction=0.5).fit(synthetic).score(users)
    np.testing.assert_allclose(half - plain.score(users), 0.5 * np.tile(log, (9, 1)), atol=1e-5)


def test_bpr_learns_that_an_item_is_popular_only_with_the_correction() -> None:
    rng = np.random.default_rng(0)
    n_users, n_items = 2_000, 60
    users, items = (rng.random((n_users, n_items)) < np.geomspace(0.2, 0.01, n_items)).nonzero()
    ids = IdMap(range(n_users)), IdMap(range(n_items))
    chance = Dataset.from_indices("chance", ids[0], users, ids[1], items)
    everyone = np.arange(n_users, dtype=np.int32)
    for correction in (0.0, 1.0):
        model = BPR(4, 60, popularity_correction=correction).fit(chance)
        scores = model.score(everyone).mean(axis=0)
        slope = np.polyfit(np.log(chance.interactions.item_counts()), scores, 1)[0]
        assert slope == pytest.approx(correction, abs=0.1)


def test_bpr_compares_items_by_their_factors_and_not_by_their_popularity(
    synthetic: Dataset,
) -> None:
    model = BPR(8, 5).fit(synthetic)
    vectors = model.item_factors_[:, :-1].astype(float)
    lengths = np.linalg.norm(vectors, axis=1)
    expected = vectors[3] @ vectors.T / (lengths[3] * np.where(lengths > 0, lengths, 1))
    np.testing.assert_allclose(model.similarities(np.array([3], np.int32))[0], expected, atol=1e-5)


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
        (lambda: ALS(frequency_exponent=-1.0), r"algo.frequency_exponent=-1.0: .* >= 0"),
        (lambda: ALS(threads=0), r"algo.threads=0"),
        (lambda: BPR(learning_rate=0.0), r"algo.learning_rate=0.0"),
        (lambda: BPR(threads=0), r"algo.threads=0"),
        (lambda: BPR(popularity_correction=-1.0), r"algo.popularity_correction=-1.0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
