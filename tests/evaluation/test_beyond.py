"""Beyond-accuracy metrics against hand-computed numbers and a naive oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from recexp.data.dataset import Features
from recexp.errors import ConfigError
from recexp.evaluation import beyond
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.judge import Judged, holdout, judge
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]
MakeLists = Callable[..., TopK]

# Four training users; item 0 taken by all, 1 by two, 2 by one, 3 and 4 by nobody.
TRAIN = [(0, 0, 5), (1, 0, 3), (2, 0, 1), (3, 0, 5), (0, 1, 5), (1, 1, 4), (2, 2, 5), (2, 2, 4)]
TEST = [(0, 2, 5), (0, 3, 5), (1, 3, 5), (4, 0, 5)]
LISTS = {0: [2, 4], 1: [3], 4: [0, 1]}


def features() -> Features:
    """Items 0: A, 1: A and B, 2: B, 3: nothing, 4: B; and a column that is no genre."""
    matrix = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 2, 2]], np.float32)
    return Features(csr_array(matrix), ("genre=A", "genre=B", "year=1990"))


@pytest.fixture
def judged(make_split: MakeSplit, make_lists: MakeLists) -> Judged:
    split = make_split(TRAIN, TEST, 5, 5, item_features=features())
    return judge(make_lists(LISTS, 2), holdout(split), Catalogue(split, np.ones(5, bool)), 2)


def test_coverage_counts_distinct_items_over_candidates(judged: Judged) -> None:
    assert beyond.coverage(judged) == pytest.approx(5 / 5)
    assert beyond.coverage(judged.at(1)) == pytest.approx(3 / 5)  # items 2, 3, 0


def test_coverage_is_over_the_candidates_alone(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, TEST, 5, 5)
    in_train = np.array([True, True, True, False, False])
    judged = judge(make_lists(LISTS, 2), holdout(split), Catalogue(split, in_train), 2)
    assert beyond.coverage(judged.at(1)) == pytest.approx(2 / 3)


def test_gini_is_0_for_equal_exposure_and_1_for_a_single_item(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, [(u, 0, 5) for u in range(4)], 5, 4)
    catalogue = Catalogue(split, np.ones(4, bool))

    def gini(lists: dict[int, list[int]]) -> float:
        return float(beyond.gini(judge(make_lists(lists, 1), holdout(split), catalogue, 1)))

    assert gini({0: [0], 1: [1], 2: [2], 3: [3]}) == pytest.approx(0)
    assert gini({0: [2], 1: [2], 2: [2], 3: [2]}) == pytest.approx(1)
    # exposures 0 0 1 3: half the mean absolute difference over the mean, times n / (n - 1)
    x = [0, 0, 1, 3]
    mean_difference = sum(abs(a - b) for a in x for b in x) / 16
    assert gini({0: [2], 1: [3], 2: [3], 3: [3]}) == pytest.approx(mean_difference / 2 * 4 / 3)


def test_popularity_is_the_share_of_distinct_training_users(judged: Judged) -> None:
    # user 0: items 2 (1 of 4, taken twice by one user) and 4 (0); user 1: item 3; user 4: 0 and 1
    np.testing.assert_allclose(beyond.popularity(judged), [(1 / 4 + 0) / 2, 0, (1 + 2 / 4) / 2])


def test_novelty_gives_unseen_items_the_popularity_of_one_more_user(judged: Judged) -> None:
    unseen = math.log2(5)
    expected = [(2 + unseen) / 2, unseen, (0 + 1) / 2]
    np.testing.assert_allclose(beyond.novelty(judged), expected, atol=1e-15)


def test_an_empty_list_has_no_popularity_novelty_or_diversity(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, TEST, 5, 5, item_features=features())
    lists = make_lists({0: [], 1: [0, 1]}, 2)
    judged = judge(lists, holdout(split), Catalogue(split, np.ones(5, bool)), 2)
    for metric in (beyond.popularity, beyond.novelty, beyond.diversity, beyond.calibration):
        assert np.isnan(metric(judged)).tolist() == [True, False, True]


def test_diversity_is_one_minus_the_cosine_of_each_pair(judged: Judged) -> None:
    # items 2 = (0,1,0) and 4 = (0,2,2): cosine 1/sqrt 2; 0 = (1,0,1) and 1 = (1,1,0): 1/2
    expected = [1 - 1 / math.sqrt(2), np.nan, 1 - 1 / 2]
    np.testing.assert_allclose(beyond.diversity(judged), expected, atol=1e-12)


def test_diversity_of_longer_lists_equals_the_mean_over_pairs(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    rng = np.random.default_rng(0)
    matrix = (rng.random((12, 6)) < 0.4).astype(np.float32)  # some rows are zero
    names = tuple(f"f={i}" for i in range(6))
    split = make_split(
        TRAIN,
        [(u, 0, 5) for u in range(5)],
        5,
        12,
        item_features=Features(csr_array(matrix), names),
    )
    lists = {u: rng.permutation(12)[: u + 2].tolist() for u in range(5)}
    catalogue = Catalogue(split, np.ones(12, bool))
    judged = judge(make_lists(lists, 6), holdout(split), catalogue, 6)

    def cosine(i: int, j: int) -> float:
        lengths = np.linalg.norm(matrix[i]) * np.linalg.norm(matrix[j])
        return float(matrix[i] @ matrix[j] / lengths) if lengths else 0.0

    expected = []
    for items in lists.values():
        pairs = [(i, j) for a, i in enumerate(items) for j in items[a + 1 :]]
        expected.append(np.mean([1 - cosine(i, j) for i, j in pairs]))
    np.testing.assert_allclose(beyond.diversity(judged), expected, atol=1e-7)


def test_serendipity_rewards_relevant_items_few_have_taken(judged: Judged) -> None:
    # popularities 4 2 1 0 0: percentiles .9 .7 .5 .2 .2; hits: user 0 item 2, user 1 item 3,
    # user 4 item 0; over k = 2 places
    expected = [(1 - 0.5) / 2, (1 - 0.2) / 2, (1 - 0.9) / 2]
    np.testing.assert_allclose(beyond.serendipity(judged), expected, atol=1e-12)


def test_calibration_is_steck_s_divergence(judged: Judged) -> None:
    # user 0 had items 0 (A) and 1 (A, B): p = (3/4, 1/4); his list 2, 4: q = (0, 1)
    a, b = 0.01 * 0.75, 0.99 + 0.01 * 0.25
    expected = 0.75 * math.log(0.75 / a) + 0.25 * math.log(0.25 / b)
    found = beyond.calibration(judged)
    assert found[0] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(found[1])  # his list holds only an item without a genre
    assert np.isnan(found[2])  # user 4 has no history


def test_a_list_like_the_history_is_perfectly_calibrated(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([(0, 0, 5), (0, 2, 1)], [(0, 1, 5)], 1, 5, item_features=features())
    judged = judge(make_lists({0: [1]}, 3), holdout(split), Catalogue(split, np.ones(5, bool)), 3)
    assert beyond.calibration(judged)[0] == pytest.approx(0, abs=1e-12)


def random_judged(
    make_split: MakeSplit, make_lists: MakeLists, user_as: np.ndarray, item_as: np.ndarray
) -> Judged:
    """40 users, 30 items, with users and items renamed."""
    rng = np.random.default_rng(7)
    taken = rng.random((40, 30)) < np.linspace(0.05, 0.6, 30)
    train, test = taken & (rng.random((40, 30)) < 0.7), ~taken & (rng.random((40, 30)) < 0.2)
    matrix = np.empty((30, 5), np.float32)
    matrix[item_as] = rng.random((30, 5)) < 0.4

    def rows(table: np.ndarray) -> list[tuple[int, int, float]]:
        return [(int(user_as[u]), int(item_as[i]), 5.0) for u, i in np.argwhere(table)]

    names = tuple(f"genre={i}" for i in range(5))
    features = Features(csr_array(matrix), names)
    split = make_split(rows(train), rows(test), 40, 30, item_features=features)
    lists = {int(user_as[u]): item_as[rng.permutation(30)[:8]].tolist() for u in range(40)}
    return judge(make_lists(lists, 8), holdout(split), Catalogue(split, np.ones(30, bool)), 8)


BOUNDS = {
    "coverage": (0, 1),
    "gini": (0, 1),
    "popularity": (0, 1),
    "novelty": (0, np.log2(41)),
    "diversity": (0, 1),
    "serendipity": (0, 1),
    "calibration": (0, np.log(100)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_bounded_and_the_same_whatever_users_and_items_are_called(
    name: str, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    rng = np.random.default_rng(8)
    same, user_as, item_as = np.arange(40), rng.permutation(40), rng.permutation(30)
    metric = getattr(beyond, name)
    before = metric(random_judged(make_split, make_lists, same, np.arange(30)))
    judged = random_judged(make_split, make_lists, user_as, item_as)
    after = metric(judged)
    low, high = BOUNDS[name]
    assert low - 1e-12 <= np.min(after) <= np.max(after) <= high + 1e-12
    if np.ndim(before):
        assert judged.users.tolist() == list(range(40))
        before = before[np.argsort(user_as)]
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_what_is_needed_and_missing_is_said(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split(TRAIN, TEST, 5, 5)
    judged = judge(make_lists(LISTS, 2), holdout(split), Catalogue(split, np.ones(5, bool)), 2)
    with pytest.raises(ConfigError, match="diversity needs item features"):
        beyond.diversity(judged)
    plain = Features(csr_array(np.ones((5, 1), np.float32)), ("year=1990",))
    split = make_split(TRAIN, TEST, 5, 5, item_features=plain)
    judged = judge(make_lists(LISTS, 2), holdout(split), Catalogue(split, np.ones(5, bool)), 2)
    with pytest.raises(ConfigError, match="named 'genre="):
        beyond.calibration(judged)
