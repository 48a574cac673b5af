"""Lists made elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.evaluation.evaluator import evaluate
from recexp.evaluation.external import ExternalEvaluation, evaluate_lists
from recexp.evaluation.judge import evaluated_users
from recexp.evaluation.ratings import RatedPairs
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

Table = dict[str, Any]


def table(**columns: Any) -> Table:
    return {name: np.asarray(column) for name, column in columns.items()}


TEST = table(user=["u1", "u1", "u2", "u3"], item=["a", "b", "a", "c"], rating=[5, 4, 2, 5])
LISTS = table(user=["u1", "u1", "u2", "u9"], item=["x", "a", "a", "a"], rank=[1, 2, 1, 1])
TRAIN = table(user=["u1", "u2"], item=["x", "b"], rating=[1, 3])


def notes(found: ExternalEvaluation) -> str:
    return "\n".join(found.assumptions)


def test_lists_are_measured_by_the_same_definitions() -> None:
    found = evaluate_lists(TEST, LISTS, cutoffs=(2,))
    metrics = found.evaluation.metrics
    # u1: hit at rank 2 of 2 relevant; u3 has no list; u2 has no relevant item
    assert metrics["precision_at_2"] == pytest.approx((1 / 2 + 0) / 2)
    assert metrics["recall_at_2"] == pytest.approx((1 / 2 + 0) / 2)
    assert metrics["mrr_at_2"] == pytest.approx((1 / 2 + 0) / 2)
    assert metrics["coverage_at_2"] == pytest.approx(2 / 4)  # x and a, of a b c x
    assert found.users.to_ids(found.evaluation.per_user["user_idx"]) == ["u1", "u3"]


def test_what_was_assumed_is_said() -> None:
    said = notes(evaluate_lists(TEST, LISTS, cutoffs=(3,)))
    assert "relevant from a rating of 4 on: the default for the scale 1 to 5" in said
    assert "no training part" in said
    assert "the catalogue is the 4 items that occur in the files" in said
    assert "2 users with a list have no relevant test item: left out" in said
    assert "1 users with a relevant test item have no list: all places are misses" in said
    assert "1 lists are shorter than 3: the missing places are misses" in said


@pytest.mark.parametrize(
    ("ratings", "threshold"), [([2, 5, 3], 4), ([0.5, 5, 3], 4), ([1, 10, 3], 7.75), ([3, 5, 5], 4)]
)
def test_the_threshold_is_the_default_of_the_observed_scale(
    ratings: list[float], threshold: float
) -> None:
    test = table(user=[1, 2, 3], item=[1, 2, 3], rating=ratings)
    found = evaluate_lists(test, table(user=[1], item=[1], rank=[1]))
    assert f"relevant from a rating of {threshold} on" in notes(found)


def test_a_given_threshold_is_no_assumption() -> None:
    found = evaluate_lists(TEST, LISTS, cutoffs=(1,), relevance_threshold=2)
    assert found.evaluation.facts["n_evaluated_users"] == 3
    assert "relevant from" not in notes(found)


def test_without_ratings_every_test_row_is_relevant() -> None:
    found = evaluate_lists(table(user=[1, 2], item=[7, 8]), table(user=[1], item=[7], score=[0.5]))
    assert found.evaluation.facts["n_evaluated_users"] == 2
    assert "no ratings: every test row is relevant" in notes(found)


def test_the_training_part_gives_segments_and_popularity() -> None:
    found = evaluate_lists(TEST, LISTS, TRAIN, cutoffs=(2,))
    assert found.evaluation.metrics["popularity_at_2"] == pytest.approx((1 / 2 + 0) / 2)
    assert found.evaluation.metrics["cold_users/recall_at_2"] == 0
    assert "scale 1 to 5" in notes(found)
    assert "1 recommended items were in the user's training part" in notes(found)
    without = evaluate_lists(TEST, LISTS, cutoffs=(2,))
    assert "popularity_at_2" not in without.evaluation.metrics
    with pytest.raises(ConfigError, match="'novelty@2' needs the training part"):
        evaluate_lists(TEST, LISTS, metrics=["novelty@2"])


def test_scores_order_lists_and_ties_are_seeded_not_by_id() -> None:
    n = 40
    test = table(user=np.arange(n), item=np.zeros(n, int))
    every = np.repeat(np.arange(n), 2)
    lists = table(user=every, item=np.tile([0, 1], n), score=np.ones(2 * n))
    values = {
        evaluate_lists(test, lists, cutoffs=(1,), seed=seed).evaluation.metrics["recall_at_1"]
        for seed in range(8)
    }
    assert values == {0.0, 1.0}  # one order of the items for all users, by seed
    assert "40 tied scores" in notes(evaluate_lists(test, lists))
    lists = table(user=[0, 0], item=[1, 0], score=[-3.0, -1.0])
    found = evaluate_lists(table(user=[0], item=[0]), lists, cutoffs=(1,))
    assert found.evaluation.metrics["recall_at_1"] == 1


def test_rank_counts_before_score_and_only_its_order() -> None:
    test = table(user=[0], item=[5])
    lists = table(user=[0, 0], item=[5, 6], rank=[3, 9], score=[0.0, 1.0])
    found = evaluate_lists(test, lists, cutoffs=(1,))
    assert found.evaluation.metrics["recall_at_1"] == 1
    assert "ranks do not count 1, 2, 3" in notes(found)


def test_a_repeated_item_counts_once_at_its_best_place() -> None:
    test = table(user=[0, 0], item=[5, 7])
    lists = table(user=[0, 0, 0], item=[5, 5, 7], score=[3.0, 2.0, 1.0])
    found = evaluate_lists(test, lists, cutoffs=(2,))
    assert found.evaluation.metrics["precision_at_2"] == 1
    assert "1 rows repeat an item" in notes(found)


@pytest.mark.parametrize(
    ("test", "lists", "message"),
    [
        (table(user=["u"], thing=["a"]), LISTS, "test has no column 'item' (found: user, thing)"),
        (TEST, table(user=["u1"], item=["a"]), "neither 'rank' nor 'score' (found: user, item)"),
        (
            TEST,
            table(user=[1], item=["a"], rank=[1]),
            "user ids are text in test, whole numbers in rec",
        ),
        (TEST, table(user=["u1"], item=["a"], score=[np.nan]), "column 'score' must hold finite"),
        (TEST, table(user=["u1"], item=["a"], rank=["first"]), "column 'rank' must hold finite"),
        (TEST, table(user=["u1"] * 2, item=["a", "b"], rank=[1, 1]), "1 items share the rank"),
        (table(user=["u"], item=["a"], rating=["5*"]), LISTS, "column 'rating' must hold finite"),
        (table(user=[1.5], item=["a"]), LISTS, "user ids are float64 in test"),
    ],
)
def test_unfit_files_are_an_error_in_one_line(test: Table, lists: Table, message: str) -> None:
    with pytest.raises(DataError) as error:
        evaluate_lists(test, lists)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("by", ["rank", "score"])
def test_a_run_s_own_recommendations_give_its_own_metrics(synthetic: Dataset, by: str) -> None:
    rng = np.random.default_rng(0)
    all_ = synthetic.interactions
    held_out = rng.random(len(all_)) < 0.3
    split = Split(synthetic.with_interactions(all_.select(~held_out)), all_.select(held_out))
    users = evaluated_users(split)
    scores = rng.random((len(users), synthetic.n_items)).astype(np.float32)
    items = np.argsort(-scores, axis=1)[:, :20].astype(np.int32)
    lists = TopK(users, items, np.take_along_axis(scores, items, 1), np.zeros(len(users), bool))
    truth = split.test.value.astype(np.float64)
    pairs = (split.test.user_idx, split.test.item_idx, truth, truth + 0.5)
    ratings = RatedPairs(*pairs, np.zeros(len(truth), bool), "predicted")
    run = evaluate(lists, split, ratings=ratings)

    def given(interactions: Any) -> Table:
        return table(
            user=synthetic.users.to_ids(interactions.user_idx.tolist()),
            item=synthetic.items.to_ids(interactions.item_idx.tolist()),
            rating=interactions.value,
        )

    saved = {
        "user_id": np.array(synthetic.users.to_ids(np.repeat(users, 20).tolist())),
        "item_id": np.array(synthetic.items.to_ids(items.ravel().tolist())),
        "rank": np.tile(np.arange(1, 21), len(users)),
        "score": lists.scores.ravel(),
    }
    del saved["rank" if by == "score" else "score"]
    shuffled = rng.permutation(len(saved["user_id"]))
    found = evaluate_lists(
        given(split.test),
        {name: column[shuffled] for name, column in saved.items()},
        given(split.train.interactions),
    )
    # Ratings are not in the lists; all else is the same to the last digit, intervals too.
    errors = {"mse", "rmse", "mae", "rmse_user", "mae_user"}
    expected = [e for e in run.table if e.metric not in errors]
    assert [e.key for e in found.evaluation.table] == [e.key for e in expected]
    for ours, theirs in zip(found.evaluation.table, expected, strict=True):
        np.testing.assert_array_equal(
            [ours.value, ours.ci_low, ours.ci_high, ours.n_users],
            [theirs.value, theirs.ci_low, theirs.ci_high, theirs.n_users],
        )
