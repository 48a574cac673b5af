"""The whole evaluation: per-user columns, table, segments, facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp.arrays import Float32Array, IdxArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError
from recexp.evaluation.evaluator import Evaluation, evaluate
from recexp.evaluation.ratings import RatedPairs
from recexp.evaluation.summary import summarize
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]
MakeLists = Callable[..., TopK]

# Item 0 is the head (of 5 training items), 1 to 4 the tail, 5 is cold; user 3 is cold.
TRAIN = [(0, 0, 5), (1, 0, 4), (2, 0, 3), (0, 1, 2), (0, 2, 5), (1, 3, 5), (0, 4, 5)]
TEST = [(1, 1, 5), (1, 5, 4), (2, 4, 5), (2, 2, 3), (3, 0, 5), (3, 1, 4), (0, 3, 2)]
LISTS = {1: [1, 4, 2], 2: [1, 4], 3: [0, 2, 5]}


@dataclass
class Table:
    scores: Float32Array

    def score(self, users: IdxArray) -> Float32Array:
        return self.scores[users]


def rated(split: Split, prediction: list[float]) -> RatedPairs:
    test = split.test
    fallback = np.zeros(len(test), bool)
    fallback[0] = True
    truth = test.value.astype(np.float64)
    pairs = (test.user_idx, test.item_idx, truth, np.array(prediction))
    return RatedPairs(*pairs, fallback, "calibrated")


@pytest.fixture
def result(make_split: MakeSplit, make_lists: MakeLists) -> Evaluation:
    split = make_split(TRAIN, TEST, 4, 6)
    ratings = rated(split, [5, 3, 4, 4, 5, 2, 2])
    return evaluate(make_lists(LISTS, 3), split, cutoffs=(2, 3), ratings=ratings)


def value(result: Evaluation, metric: str, segment: str = "") -> tuple[float, int]:
    found = [e for e in result.table if (e.metric, e.segment) == (metric, segment)]
    assert len(found) == 1, f"{segment}/{metric}: {len(found)} estimates"
    return found[0].value, found[0].n_users


def test_the_value_is_the_mean_over_evaluated_users(result: Evaluation) -> None:
    # User 0 has no relevant test item. Hits at ranks: user 1: 1; user 2: 2; user 3: 1.
    assert value(result, "precision@2") == (pytest.approx((1 + 1 + 1) / 2 / 3), 3)
    assert value(result, "recall@3") == (pytest.approx((1 / 2 + 1 + 1 / 2) / 3), 3)
    assert value(result, "mrr@3") == (pytest.approx((1 + 1 / 2 + 1) / 3), 3)
    assert value(result, "coverage@3") == (pytest.approx(5 / 6), 3)


def test_user_segments_average_their_members(result: Evaluation) -> None:
    assert value(result, "mrr@3", "cold_users") == (1.0, 1)
    assert value(result, "mrr@3", "warm_users") == (pytest.approx(3 / 4), 2)
    # training interactions: user 0 four, 1 two, 2 one
    assert value(result, "mrr@3", "light_users") == (0.5, 1)
    assert not [e for e in result.table if e.segment == "heavy_users" and "@" in e.metric]


def test_item_segments_restrict_what_is_relevant(result: Evaluation) -> None:
    assert value(result, "recall@3", "head_items") == (1.0, 1)  # user 3, item 0
    assert value(result, "recall@3", "cold_items") == (0.0, 1)  # user 1, item 5, not listed
    tail = (1 + 1 + 0) / 3  # user 1: item 1; user 2: item 4; user 3: item 1, not listed
    assert value(result, "recall@3", "tail_items") == (pytest.approx(tail), 3)
    assert value(result, "precision@2", "tail_items") == (pytest.approx((1 + 1 + 0) / 2 / 3), 3)


def test_rating_metrics_are_over_pairs_or_over_users(result: Evaluation) -> None:
    # errors: user 1: 0 -1; user 2: -1 +1; user 3: 0 -2; user 0: 0
    assert value(result, "mse") == (pytest.approx((0 + 1 + 1 + 1 + 0 + 4 + 0) / 7), 4)
    assert value(result, "rmse") == (pytest.approx(1.0), 4)
    assert value(result, "mae") == (pytest.approx(5 / 7), 4)
    users = [np.sqrt(1 / 2), 1, np.sqrt(4 / 2), 0]
    assert value(result, "rmse_user") == (pytest.approx(np.mean(users)), 4)
    assert value(result, "mae_user") == (pytest.approx((1 / 2 + 1 + 1 + 0) / 4), 4)
    assert value(result, "mse", "cold_users") == (pytest.approx(4 / 2), 1)
    assert value(result, "mse", "heavy_users") == (0.0, 1)
    assert value(result, "mae", "cold_items") == (1.0, 1)
    assert value(result, "mae", "head_items") == (0.0, 1)


def test_per_user_values_are_kept_and_nan_where_not_measured(result: Evaluation) -> None:
    columns = result.per_user
    assert columns["user_idx"].tolist() == [0, 1, 2, 3]
    assert columns["user_idx"].dtype == np.int32
    assert columns["cold_users"].tolist() == [False, False, False, True]
    assert columns["n_relevant"].tolist() == [0, 2, 1, 2]
    np.testing.assert_array_equal(columns["recall_at_3"], [np.nan, 0.5, 1, 0.5])
    np.testing.assert_array_equal(columns["cold_items/recall_at_3"], [np.nan, 0, np.nan, np.nan])
    assert columns["n_ratings"].tolist() == [1, 2, 2, 2]
    assert columns["squared_error"].tolist() == [0, 1, 2, 4]
    assert columns["absolute_error"].tolist() == [0, 1, 2, 2]


def test_the_facts_say_what_happened(result: Evaluation) -> None:
    assert result.facts == {
        "n_evaluated_users": 3,
        "n_users_without_list": 0,
        "n_candidates": 6,
        "tied_boundary_share": 0.0,
        "rating_source": "calibrated",
        "fallback_share": pytest.approx(1 / 7),
    }


def test_the_table_begins_with_the_whole_in_the_order_asked(result: Evaluation) -> None:
    segments = [e.segment for e in result.table]
    assert segments == sorted(segments, key=lambda s: s != "")
    assert [e.metric for e in result.table][:3] == ["precision@2", "precision@3", "recall@2"]
    assert result.metrics["tail_items/recall_at_3"] == value(result, "recall@3", "tail_items")[0]


def test_the_table_is_reproduced_exactly_from_the_saved_columns_alone(
    result: Evaluation, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "per_user.parquet"
    named = {"user_id": ["a", "b", "c", "d"], **result.per_user}
    del named["user_idx"]
    pq.write_table(pa.table(named), file)
    table = pq.read_table(file)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    of_sets = [e for e in result.table if e.metric.startswith("coverage")]
    assert len(of_sets) == 2
    assert summarize(columns) == tuple(e for e in result.table if e not in of_sets)


@pytest.fixture
def random_lists(synthetic: Dataset) -> tuple[TopK, Split]:
    """Ten random items for each user of the synthetic data, all of whose interactions are test."""
    n_users, n_items = synthetic.n_users, synthetic.n_items
    order = np.argsort(np.random.default_rng(0).random((n_users, n_items)), axis=1)
    items = order[:, :10].astype(np.int32)
    users = np.arange(n_users, dtype=np.int32)
    lists = TopK(users, items, np.zeros(items.shape, np.float32), np.zeros(n_users, bool))
    test = synthetic.interactions
    train = synthetic.with_interactions(test.select(np.zeros(len(test), bool)))
    return lists, Split(train, test)


def test_intervals_hold_the_value_and_shrink_with_more_users(
    random_lists: tuple[TopK, Split],
) -> None:
    lists, split = random_lists

    def width(split: Split) -> float:
        found = evaluate(lists, split, metrics=["ndcg@10"]).table[0]
        assert found.ci_low < found.value < found.ci_high
        return found.ci_high - found.ci_low

    few = replace(split, test=split.test.select(split.test.user_idx < 40))
    assert width(few) > 1.5 * width(split)


def test_the_same_seed_gives_the_same_intervals(random_lists: tuple[TopK, Split]) -> None:
    lists, split = random_lists
    one, same, other = (
        evaluate(lists, split, metrics=["recall@10"], seed=seed).table for seed in (1, 1, 2)
    )
    assert one == same
    assert one[0].value == other[0].value
    assert one[0].ci_low != other[0].ci_low


def test_an_interval_does_not_depend_on_the_other_metrics_asked_for(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, TEST, 4, 6)
    alone = evaluate(make_lists(LISTS, 3), split, metrics=["recall@3"]).table[0]
    among = evaluate(make_lists(LISTS, 3), split, metrics=["map", "recall@3"], cutoffs=[2]).table
    (found,) = (e for e in among if (e.metric, e.segment) == ("recall@3", ""))
    assert found.value == alone.value
    assert found.ci_low == pytest.approx(alone.ci_low, abs=1e-12)


def test_auc_is_over_unseen_candidates_and_for_segments_too(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, TEST, 4, 6)
    scores = np.tile(np.array([6, 5, 4, 3, 2, 1], np.float32), (4, 1))
    arguments: dict[str, Any] = {"metrics": ["auc"], "scorer": Table(scores)}
    lists = make_lists(LISTS, 1)
    found = evaluate(lists, split, **arguments)
    # user 1 (seen 0 and 3): relevant 1 5, others 2 4: pairs won 2 of 4; user 2 (seen 0):
    # relevant 4, others 1 2 3 5: 1 of 4; user 3: relevant 0 1, others 2 3 4 5: all
    assert value(found, "auc")[0] == pytest.approx((2 / 4 + 1 / 4 + 1) / 3)
    # in the tail: user 1: 1 over 2 4 5; user 2: 1 of 4; user 3: 1 over 2..5, under 0
    assert value(found, "auc", "tail_items")[0] == pytest.approx((1 + 1 / 4 + 4 / 5) / 3)
    found = evaluate(lists, split, exclude_seen=False, **arguments)
    # user 1: others 0 2 3 4: 1 wins 3, 5 wins 0 of 8; user 2: others 0 1 2 3 5: 1 of 5
    assert value(found, "auc")[0] == pytest.approx((3 / 8 + 1 / 5 + 1) / 3)


def test_an_outside_metric_is_measured_like_our_own(
    make_split: MakeSplit, make_lists: MakeLists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside_two.py").write_text(
        "def hits(judged):\n    return judged.hits.sum(axis=1)\n"
        "def wrong(judged):\n    return judged.hits\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    split = make_split(TRAIN, TEST, 4, 6)
    found = evaluate(make_lists(LISTS, 3), split, metrics=["outside_two.hits@3"])
    assert value(found, "outside_two.hits@3") == (1.0, 3)
    assert value(found, "outside_two.hits@3", "cold_items") == (0.0, 1)
    assert found.per_user["outside_two.hits_at_3"].dtype == np.float64
    with pytest.raises(ConfigError, match=r"returned shape \(3, 3\); expected one value per user"):
        evaluate(make_lists(LISTS, 3), split, metrics=["outside_two.wrong@3"])


def test_what_cannot_be_measured_is_said(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split(TRAIN, TEST, 4, 6)
    lists = make_lists(LISTS, 3)
    with pytest.raises(ConfigError, match="lists of 3 items cannot be measured at cutoff 5"):
        evaluate(lists, split, cutoffs=[5])
    with pytest.raises(ConfigError, match="'auc' needs the scores"):
        evaluate(lists, split, metrics=["auc"])
    with pytest.raises(ConfigError, match="'rmse' needs ratings, but toy were not predicted"):
        evaluate(lists, split, metrics=["rmse"])
    implicit = make_split(TRAIN, TEST, 4, 6, scale=None)
    with pytest.raises(ConfigError, match="'mae' needs ratings, but toy has no ratings"):
        evaluate(lists, implicit, metrics=["mae"])


def test_a_cutoff_beyond_the_catalogue_counts_missing_places(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split(TRAIN, TEST, 4, 6)
    found = evaluate(make_lists({1: [1, 5, 2, 4, 0, 3]}, 6), split, metrics=["precision@20"])
    assert value(found, "precision@20") == (pytest.approx(2 / 20 / 3), 3)
    assert found.facts["n_users_without_list"] == 2


def test_without_training_there_are_no_segments(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([], TEST, 4, 6)
    found = evaluate(make_lists(LISTS, 3), split, metrics=["ndcg@3"])
    assert {e.segment for e in found.table} == {""}


@pytest.mark.movielens
def test_all_movielens_users_get_what_trec_eval_gives_them(movielens: Dataset) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(0)
    held_out = rng.random(len(movielens.interactions)) < 0.2
    split = Split(
        movielens.with_interactions(movielens.interactions.select(~held_out)),
        movielens.interactions.select(held_out),
    )
    users = np.arange(movielens.n_users, dtype=np.int32)
    popular = np.argsort(-split.train.interactions.item_counts(), kind="stable")[:20]
    items = np.tile(popular.astype(np.int32), (len(users), 1))
    lists = TopK(users, items, np.zeros(items.shape, np.float32), np.zeros(len(users), bool))
    found = evaluate(lists, split, cutoffs=(5, 20), metrics=["precision", "recall", "map", "ndcg"])
    qrels: dict[str, dict[str, int]] = {}
    for u, i, v in zip(
        split.test.user_idx.tolist(), split.test.item_idx.tolist(), split.test.value, strict=True
    ):
        qrels.setdefault(str(u), {})[str(i)] = int(v >= 4)
    run = {str(u): {str(i): float(50 - r) for r, i in enumerate(popular)} for u in users}
    names = {"precision": "P", "recall": "recall", "map": "map_cut", "ndcg": "ndcg_cut"}
    asked = {f"{name}.5,20" for name in names.values()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    evaluated = found.per_user["user_idx"].tolist()
    assert evaluated == [u for u in users.tolist() if any(qrels.get(str(u), {}).values())]
    for ours, name in names.items():
        for k in (5, 20):
            expected = [theirs[str(u)][f"{name}_{k}"] for u in evaluated]
            np.testing.assert_allclose(found.per_user[f"{ours}_at_{k}"], expected, atol=1e-9)
            assert found.metrics[f"{ours}_at_{k}"] == pytest.approx(np.mean(expected), abs=1e-12)
