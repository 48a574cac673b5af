"""What each hybrid makes of its members' scores, by hand; members say what a table says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest

from recexp.algorithms.base import Source
from recexp.algorithms.hybrid.cascade import Cascade
from recexp.algorithms.hybrid.rank_fusion import RankFusion
from recexp.algorithms.hybrid.switching import Switching
from recexp.algorithms.hybrid.weighted import Weighted
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError
from recexp.rng import derive

NEVER = -np.inf
USERS = np.arange(3, dtype=np.int32)


@dataclass(eq=False)
class Says:
    """Scores as given, of users but the `silent` ones; predicts them as ratings."""

    table: tuple[tuple[float, ...], ...]
    silent: tuple[int, ...] = ()

    def fit(self, train: Dataset) -> Self:
        return self

    def score(self, users: Any) -> Any:
        return np.array(self.table, np.float32)[users]

    def source(self, users: Any) -> Any:
        return np.where(np.isin(users, self.silent), Source.FALLBACK, 0).astype(np.uint8)

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        return [(f"item:{item}", 3.0), (f"term:{self.table[user][item]:g}", 1.0)][:n]


@dataclass(eq=False)
class Rates(Says):
    def predict(self, users: Any, items: Any) -> Any:
        return np.array(self.table)[users, items]


class Learned(Says):
    """The same, of users with an interaction."""

    source = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Three users with 3, 1 and 2 interactions; four items with 3, 2, 1 and 0."""
    user, item = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 2, 0, 0, 1])
    rows = Dataset.from_columns("tiny", np.append(user, 3), np.append(item, 3))
    return rows.with_interactions(rows.interactions.select(np.arange(6)))


A = ((1, 2, 3, 5), (1, 2, 3, 5), (0, 0, 0, 0), (0, 0, 0, 0))
B = ((40, 30, 10, 20), (40, NEVER, 10, 20), (10, 20, 30, 50), (1, 2, 3, 4))


def test_weighted_is_the_weighted_mean_of_normalized_scores(data: Dataset) -> None:
    model = Weighted({"a": Says(A), "b": Says(B)}, weights={"a": 3.0}).fit(data)
    # A: 0, 1/4, 1/2, 1. B: 1, 2/3, 0, 1/3, and without item 1: 1, -, 0, 1/3.
    expected = [
        [1 / 4, 3 / 16 + 1 / 6, 3 / 8, 3 / 4 + 1 / 12],
        [1 / 4, NEVER, 3 / 8, 3 / 4 + 1 / 12],
        [0, 1 / 16, 1 / 8, 1 / 4],
    ]
    np.testing.assert_allclose(model.score(USERS), expected, rtol=1e-6)


def test_a_member_without_weight_has_no_say(data: Dataset) -> None:
    model = Weighted({"a": Says(A), "b": Says(B)}, weights={"b": 0.0}).fit(data)
    np.testing.assert_allclose(model.score(USERS[1:2]), [[0, 0.25, 0.5, 1]])
    silent = Weighted({"a": Says(A, (0,)), "b": Says(B)}, weights={"b": 0.0}).fit(data)
    assert silent.source(USERS).tolist() == [Source.FALLBACK, Source.MODEL, Source.MODEL]


def test_a_member_that_has_nothing_to_say_of_a_user_does_not_count(data: Dataset) -> None:
    members = {"a": Says(A, silent=(1, 2)), "b": Says(B, silent=(2,))}
    model = Weighted(members, normalize="rank").fit(data)
    both = Weighted({"a": Says(A), "b": Says(B)}, normalize="rank").fit(data)
    scores = model.score(USERS)
    np.testing.assert_allclose(scores[0], both.score(USERS)[0])
    np.testing.assert_allclose(scores[1], [1, NEVER, 0, 0.5])
    np.testing.assert_allclose(scores[2], both.score(USERS)[2])
    assert model.source(USERS).tolist() == [Source.MODEL, Source.MODEL, Source.FALLBACK]


def test_rating_predictors_that_are_not_normalized_predict_their_mean(data: Dataset) -> None:
    members = {"a": Rates(A), "b": Rates(B)}
    model: Any = Weighted(members, weights={"a": 3.0}, normalize="none").fit(data)
    pairs = np.array([0, 0, 1], np.int32), np.array([0, 3, 2], np.int32)
    assert model.predict(*pairs) == pytest.approx([(3 + 40) / 4, (15 + 20) / 4, (9 + 10) / 4])
    assert model.score(USERS)[pairs] == pytest.approx(model.predict(*pairs))
    assert not hasattr(Weighted(members), "predict")
    assert not hasattr(Weighted({"a": Rates(A), "b": Says(B)}, normalize="none"), "predict")


def test_reciprocal_rank_fusion_by_hand(data: Dataset) -> None:
    model = RankFusion({"a": Says(A), "b": Says(B)}).fit(data)
    # Ranks by A: 4, 3, 2, 1; by B: 1, 2, 4, 3, and without item 1: 1, -, 3, 2.
    expected = [
        [1 / 64 + 1 / 61, 1 / 63 + 1 / 62, 1 / 62 + 1 / 64, 1 / 61 + 1 / 63],
        [1 / 64 + 1 / 61, NEVER, 1 / 62 + 1 / 63, 1 / 61 + 1 / 62],
        [1 / 62.5 + 1 / 64, 1 / 62.5 + 1 / 63, 1 / 62.5 + 1 / 62, 1 / 62.5 + 1 / 61],
    ]
    np.testing.assert_allclose(model.score(USERS), expected, rtol=1e-6)


def test_borda_counts_the_items_below(data: Dataset) -> None:
    model = RankFusion({"a": Says(A), "b": Says(B)}, method="borda").fit(data)
    expected = [[0 + 3, 1 + 2, 2 + 0, 3 + 1], [0 + 2, NEVER, 2 + 0, 3 + 1], [1.5, 2.5, 3.5, 4.5]]
    np.testing.assert_allclose(model.score(USERS), expected)


@pytest.mark.parametrize("method", ["rrf", "borda"])
def test_rank_fusion_against_a_naive_count(method: Any, data: Dataset) -> None:
    rng = derive(3, "tables")
    tables = [rng.integers(0, 4, (3, 4)).astype(float) for _ in range(3)]
    members = {f"m{i}": Says(tuple(map(tuple, table))) for i, table in enumerate(tables)}
    scores = RankFusion(members, method=method, rank_constant=2.0).fit(data).score(USERS)
    for user in range(3):
        for item in range(4):
            total = 0.0
            for table in tables:
                row = table[user].tolist()
                above = sum(one > row[item] for one in row)
                same = sum(one == row[item] for one in row)
                rank = above + (same + 1) / 2
                total += 1 / (2 + rank) if method == "rrf" else 4 - rank
            assert scores[user, item] == pytest.approx(total)


def test_switching_by_user_counts_training_interactions(data: Dataset) -> None:
    model = Switching({"a": Says(A), "b": Says(B)}, min_interactions=2, normalize="none").fit(data)
    np.testing.assert_array_equal(model.score(USERS), [A[0], B[1], A[2]])


def test_switching_by_item_mixes_normalized_scores(data: Dataset) -> None:
    model = Switching({"a": Says(A), "b": Says(B)}, by="item", min_interactions=2).fit(data)
    # Items 0 and 1 by A (0, 1/4), items 2 and 3 by B.
    expected = [[0, 1 / 4, 0, 1 / 3], [0, 1 / 4, 0, 1 / 3], [0, 0, 0.5, 1]]
    np.testing.assert_allclose(model.score(USERS), expected, rtol=1e-6)


@pytest.mark.parametrize("by", ["user", "item"])
def test_switching_asks_who_has_something_to_say(data: Dataset, by: Any) -> None:
    """User 0 is the first's by right, user 1 the second's; of user 2 neither has anything."""
    members = {"a": Says(A, silent=(0, 2)), "b": Says(B, silent=(1, 2))}
    model = Switching(members, by=by, min_interactions=2, normalize="none").fit(data)
    np.testing.assert_array_equal(model.score(USERS[:2]), [B[0], A[1]])
    assert model.source(USERS).tolist() == [Source.MODEL, Source.MODEL, Source.FALLBACK]


def test_switching_states_the_source_of_the_member_that_answers(data: Dataset) -> None:
    """A member that does not state its sources knows the users with an interaction."""
    stranger = np.array([3], np.int32)
    nobody = Switching({"a": Learned(A), "b": Learned(B)}).fit(data)
    assert nobody.source(stranger).tolist() == [Source.FALLBACK]
    second = Switching({"a": Learned(A), "b": Says(B)}).fit(data)
    assert second.source(stranger).tolist() == [Source.MODEL]


@pytest.mark.parametrize(("by", "expected"), [("user", [1, 40, 2]), ("item", [1, 1, 30])])
def test_switching_predicts_what_the_answering_member_does(
    data: Dataset, by: Any, expected: list[float]
) -> None:
    members = {"a": Rates(A), "b": Rates(B)}
    model: Any = Switching(members, by=by, min_interactions=2, normalize="none").fit(data)
    pairs = np.array([0, 1, 0], np.int32), np.array([0, 0, 1], np.int32)
    expected = expected if by == "user" else [1, 1, 2]
    assert model.predict(*pairs).tolist() == expected
    assert model.score(USERS)[pairs].tolist() == expected


def test_switching_explains_by_the_member_that_answers(data: Dataset) -> None:
    model: Any = Switching({"a": Says(A), "b": Says(B)}, min_interactions=2).fit(data)
    assert model.explain(0, 3, 2)[1] == ("term:5", 1.0)
    assert model.explain(1, 3, 2)[1] == ("term:20", 1.0)


WIDE = ((9, 8, 7, 6, 5, 4), (9, 8, 7, 7, 7, 4), (0, 0, 0, 0, 0, 0))
RANK = ((1, 2, 3, 4, 5, 6), (1, 2, NEVER, 4, 5, 6), (6, 5, 4, 3, 2, 1))


@pytest.fixture(scope="module")
def six() -> Dataset:
    """Three users of six items; each has item 0 only."""
    rows = Dataset.from_columns(
        "six", np.array([0, 1, 2, 3, 3, 3, 3, 3]), np.array([0, 0, 0, *range(1, 6)])
    )
    return rows.with_interactions(rows.interactions.select(np.arange(3)))


def order(scores: Any) -> list[int]:
    return [int(item) for item in np.argsort(-scores, kind="stable") if scores[item] > NEVER]


def test_a_cascade_ranks_the_candidates_and_leaves_the_others_below(six: Dataset) -> None:
    model = Cascade({"a": Says(WIDE), "b": Says(RANK)}, n_candidates=2).fit(six)
    scores = model.score(USERS)
    # User 0: item 0 is his already, so 1 and 2 are the two candidates; 0 scores as high.
    assert order(scores[0]) == [2, 1, 0, 3, 4, 5]
    assert scores[0, :3].tolist() == [1, 2, 3]
    # User 1: items 2, 3 and 4 tie for the second place; the ranker would never show item 2.
    assert order(scores[1]) == [4, 3, 1, 0, 5]
    assert scores[1, [0, 1, 3, 4]].tolist() == [1, 2, 4, 5]
    # User 2: all tie.
    assert scores[2].tolist() == list(RANK[2])


def test_a_cascade_of_silent_members_has_the_order_of_the_other(six: Dataset) -> None:
    members = {"a": Says(WIDE, silent=(0,)), "b": Says(RANK, silent=(1,))}
    model = Cascade(members, n_candidates=2).fit(six)
    scores = model.score(USERS)
    assert scores[:2].tolist() == [list(RANK[0]), list(WIDE[1])]
    assert model.source(USERS).tolist() == [Source.MODEL] * 3


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
def test_the_gap_of_a_cascade_shows_at_any_scale(six: Dataset, scale: float) -> None:
    ranks = tuple(tuple(scale * value for value in row) for row in RANK)
    model = Cascade({"a": Says(WIDE), "b": Says(ranks)}, n_candidates=2).fit(six)
    assert order(model.score(USERS)[0]) == [2, 1, 0, 3, 4, 5]


def test_a_cascade_explains_by_the_member_that_places_the_item(six: Dataset) -> None:
    model: Any = Cascade({"a": Says(WIDE), "b": Says(RANK)}, n_candidates=2).fit(six)
    assert model.explain(0, 2, 2)[1] == ("term:3", 1.0)
    assert model.explain(0, 5, 2)[1] == ("term:4", 1.0)


def test_a_fusion_shares_an_items_points_among_the_reasons(data: Dataset) -> None:
    model: Any = Weighted({"a": Says(A), "b": Says(B)}).fit(data)
    # Item 3 of user 0: A gives it 1/2 of 1, B 1/2 of 1/3; three quarters of each to item:3.
    reasons = dict(model.explain(0, 3, 3))
    assert reasons == pytest.approx({"item:3": 3 / 8 + 1 / 8, "term:5": 1 / 8, "term:20": 1 / 24})
    # The reasons that are asked for share all of it.
    assert model.explain(0, 3, 1) == [("item:3", pytest.approx(1 / 2 + 1 / 6))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: Weighted({"a": m}), "algo.members has 1: Weighted expects two or more"),
        (lambda m: Weighted({"a": m, "b-c": m}), "algo.members.b-c: expected a name"),
        (lambda m: Weighted({"a": m, "b": 3}), "algo.members.b=3: expected a recommender"),
        (lambda m: Weighted({"a": m, "b": m}, {"c": 1.0}), "algo.weights.c: no member has this"),
        (lambda m: Weighted({"a": m, "b": m}, {"a": -1.0}), r"algo.weights.a=-1.0: .* >= 0"),
        (lambda m: Weighted({"a": m, "b": m}, {"a": 0.0, "b": 0.0}), "algo.weights=.* > 0"),
        (lambda m: Weighted({"a": m, "b": m}, normalize="max"), "algo.normalize=max"),
        (lambda m: RankFusion({"a": m, "b": m}, rank_constant=-1.0), "algo.rank_constant=-1.0"),
        (lambda m: Switching({"a": m, "b": m, "c": m}), "has a, b, c: Switching expects two"),
        (lambda m: Switching({"a": m, "b": m}, min_interactions=0), "algo.min_interactions=0"),
        (lambda m: Cascade({"a": m, "b": m}, n_candidates=0), "algo.n_candidates=0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(Says(A))
