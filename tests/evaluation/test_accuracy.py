"""Ranking metrics against fractions, a naive oracle, and other people's programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.errors import DataError
from recexp.evaluation import accuracy
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.judge import Judged, holdout, judge
from recexp.evaluation.registry import Metric
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]
MakeLists = Callable[..., TopK]

ACCURACY = {name: metric for name, metric in vars(accuracy).items() if isinstance(metric, Metric)}


def judged_of(lists: TopK, split: Split, k: int) -> Judged:
    everything = np.ones(split.train.n_items, bool)
    return judge(lists, holdout(split), Catalogue(split, everything), k)


# One user, 3 relevant items (0, 1, 2), list 0 7 8 1 9: hits at ranks 1 and 4.
FRACTIONS = {
    ("precision", 5): Fraction(2, 5),
    ("precision", 10): Fraction(2, 10),
    ("precision", 1): Fraction(1, 1),
    ("recall", 5): Fraction(2, 3),
    ("recall", 1): Fraction(1, 3),
    ("recall_capped", 5): Fraction(2, 3),
    ("recall_capped", 1): Fraction(1, 1),
    ("f1", 5): 2 * Fraction(2, 5) * Fraction(2, 3) / (Fraction(2, 5) + Fraction(2, 3)),
    ("hit_rate", 5): Fraction(1),
    ("mrr", 5): Fraction(1),
    ("map", 5): (Fraction(1, 1) + Fraction(2, 4)) / 3,
    ("map", 1): Fraction(1, 3),
    ("map_capped", 5): (Fraction(1, 1) + Fraction(2, 4)) / 3,
    ("map_capped", 1): Fraction(1, 1),
}


@pytest.mark.parametrize(("name", "k"), FRACTIONS)
def test_hand_computed_fractions(
    name: str, k: int, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([], [(0, 0, 5), (0, 1, 4), (0, 2, 4), (0, 3, 1)], 1, 12)
    judged = judged_of(make_lists({0: [0, 7, 8, 1, 9]}, 10), split, 10)
    assert ACCURACY[name](judged.at(k))[0] == pytest.approx(float(FRACTIONS[name, k]), abs=1e-15)


def test_hand_computed_ndcg(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split([], [(0, 0, 5), (0, 1, 4), (0, 2, 4), (0, 3, 1)], 1, 12)
    judged = judged_of(make_lists({0: [0, 7, 8, 1, 9]}, 10), split, 5)
    dcg = 1 + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ACCURACY["ndcg"](judged)[0] == pytest.approx(dcg / ideal, abs=1e-15)
    dcg = 5 + 4 / math.log2(5)
    ideal = 5 + 4 / math.log2(3) + 4 / math.log2(4) + 1 / math.log2(5)
    assert ACCURACY["ndcg_graded"](judged)[0] == pytest.approx(dcg / ideal, abs=1e-15)


def test_a_first_hit_at_rank_three_has_reciprocal_rank_one_third(
    make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([], [(0, 5, 5), (0, 6, 5)], 1, 8)
    judged = judged_of(make_lists({0: [1, 2, 5, 6]}, 4), split, 4)
    assert ACCURACY["mrr"](judged)[0] == pytest.approx(1 / 3)
    assert ACCURACY["mrr"](judged.at(2))[0] == 0


def test_graded_gain_refuses_negative_values(make_split: MakeSplit, make_lists: MakeLists) -> None:
    split = make_split([], [(0, 0, 5), (0, 1, -1)], 1, 3, scale=(-1, 5))
    with pytest.raises(DataError, match="values >= 0"):
        ACCURACY["ndcg_graded"](judged_of(make_lists({0: [0]}, 2), split, 2))


# ---- the naive oracle: one user, plain Python, straight from METRICS ----


def naive(name: str, ranked: list[int], test: dict[int, float], k: int) -> float:
    """The metric of one user; `test` is item -> value, relevant from 4."""
    relevant = {item for item, value in test.items() if value >= 4}
    h = [1 if item in relevant else 0 for item in ranked[:k]]
    h += [0] * (k - len(h))
    n, r = sum(h), len(relevant)
    if name == "precision":
        return n / k
    if name == "recall":
        return n / r
    if name == "recall_capped":
        return n / min(k, r)
    if name == "f1":
        p, q = n / k, n / r
        return 0.0 if p + q == 0 else 2 * p * q / (p + q)
    if name == "hit_rate":
        return 1.0 if n else 0.0
    if name == "mrr":
        return next((1 / (i + 1) for i in range(k) if h[i]), 0.0)
    if name in ("map", "map_capped"):
        total = sum(sum(h[: i + 1]) / (i + 1) for i in range(k) if h[i])
        return total / (r if name == "map" else min(k, r))
    if name == "ndcg":
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, r)))
        return sum(h[i] / math.log2(i + 2) for i in range(k)) / ideal
    assert name == "ndcg_graded"
    gains = [test.get(item, 0.0) for item in ranked[:k]]
    best = sorted(test.values(), reverse=True)[:k]
    ideal = sum(gain / math.log2(i + 2) for i, gain in enumerate(best))
    return sum(gain / math.log2(i + 2) for i, gain in enumerate(gains)) / ideal


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Test rows (repeated ones too), lists (short and empty ones too), a cutoff of any size."""
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    row = st.tuples(
        st.integers(0, n_users - 1),
        st.integers(0, n_items - 1),
        st.sampled_from([1.0, 3.0, 4.0, 5.0]),
    )
    test = draw(st.lists(row, min_size=1, max_size=30))
    if not any(value >= 4 for _, _, value in test):
        test.append((0, 0, 5.0))
    lists = {
        user: draw(st.permutations(range(n_items)))[: draw(st.integers(0, n_items))]
        for user in range(n_users)
        if draw(st.booleans())
    }
    return {"test": test, "lists": lists, "n_users": n_users, "n_items": n_items}


@settings(derandomize=True, max_examples=200, deadline=None)
@given(case=cases(), k=st.integers(1, 12))
def test_every_metric_equals_the_naive_oracle(
    case: dict[str, Any], k: int, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    split = make_split([], case["test"], case["n_users"], case["n_items"])
    judged = judged_of(make_lists(case["lists"], 12), split, 12).at(k)
    test: dict[int, dict[int, float]] = {}
    for user, item, value in case["test"]:
        values = test.setdefault(user, {})
        values[item] = max(value, values.get(item, 0.0))
    evaluated = [user for user in sorted(test) if max(test[user].values()) >= 4]
    assert judged.users.tolist() == evaluated
    for name, metric in ACCURACY.items():
        expected = [naive(name, list(case["lists"].get(u, [])), test[u], k) for u in evaluated]
        np.testing.assert_allclose(metric(judged), expected, rtol=0, atol=1e-12, err_msg=name)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(case=cases(), k=st.integers(1, 10), data=st.data())
def test_within_a_segment_only_its_items_are_relevant(
    case: dict[str, Any], k: int, data: st.DataObject, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    n_items = case["n_items"]
    segment = np.array(data.draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items)))
    split = make_split([], case["test"], case["n_users"], n_items)
    judged = judged_of(make_lists(case["lists"], 10), split, 10).within(segment).at(k)
    test: dict[int, dict[int, float]] = {}
    for user, item, value in case["test"]:
        if segment[item]:
            values = test.setdefault(user, {})
            values[item] = max(value, values.get(item, 0.0))
    left = [user for user in sorted(test) if max(test[user].values()) >= 4]
    assert judged.users.tolist() == left
    for name in ("recall", "map", "ndcg", "ndcg_graded"):
        expected = [naive(name, list(case["lists"].get(u, [])), test[u], k) for u in left]
        np.testing.assert_allclose(ACCURACY[name](judged), expected, atol=1e-12, err_msg=name)


# ---- independent libraries, on lists and relevance of a few hundred users ----


@pytest.fixture(scope="module")
def big() -> tuple[dict[int, dict[int, float]], dict[int, list[int]]]:
    """Test values and lists of 300 users over 80 items, some lists short, all users relevant."""
    rng = np.random.default_rng(0)
    test, lists = {}, {}
    for user in range(300):
        items = rng.choice(80, rng.integers(1, 15), replace=False)
        values = rng.integers(1, 6, len(items)).astype(float)
        values[0] = 5.0
        test[user] = dict(zip(items.tolist(), values.tolist(), strict=True))
        lists[user] = rng.permutation(80)[: rng.integers(1, 26)].tolist()
    return test, lists


def big_judged(big: Any, make_split: MakeSplit, make_lists: MakeLists, k: int) -> Judged:
    test, lists = big
    rows = [(user, item, value) for user, of in test.items() for item, value in of.items()]
    return judged_of(make_lists(lists, 25), make_split([], rows, 300, 80), 25).at(k)


def test_pytrec_eval_agrees(big: Any, make_split: MakeSplit, make_lists: MakeLists) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    test, lists = big
    k = 10
    qrels = {str(u): {str(i): int(v >= 4) for i, v in of.items()} for u, of in test.items()}
    # Scores are made of ranks: trec_eval keeps scores in 32 bits and breaks ties by name.
    run = {str(u): {str(i): float(100 - r) for r, i in enumerate(li)} for u, li in lists.items()}
    names = {
        "precision": "P_10",
        "recall": "recall_10",
        "map": "map_cut_10",
        "ndcg": "ndcg_cut_10",
        "hit_rate": "success_10",
    }
    evaluator = pytrec_eval.RelevanceEvaluator(
        qrels, {"P.10", "recall.10", "map_cut.10", "ndcg_cut.10", "success.10", "recip_rank"}
    )
    found = evaluator.evaluate(run)
    judged = big_judged(big, make_split, make_lists, k)
    for ours, theirs in names.items():
        expected = [found[str(user)][theirs] for user in judged.users]
        np.testing.assert_allclose(ACCURACY[ours](judged), expected, atol=1e-9, err_msg=ours)
    # recip_rank has no cutoff: the same up to the longest list, and 0 for us below the cutoff.
    reciprocal = np.array([found[str(user)]["recip_rank"] for user in judged.users])
    whole = big_judged(big, make_split, make_lists, 25)
    np.testing.assert_allclose(ACCURACY["mrr"](whole), reciprocal, atol=1e-9)
    cut = np.where(reciprocal >= 1 / k, reciprocal, 0)
    np.testing.assert_allclose(ACCURACY["mrr"](judged), cut, atol=1e-9)


def test_pytrec_eval_grades_with_the_same_linear_gain(
    big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    test, lists = big
    qrels = {str(u): {str(i): int(v) for i, v in of.items()} for u, of in test.items()}
    run = {str(u): {str(i): float(100 - r) for r, i in enumerate(li)} for u, li in lists.items()}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    judged = big_judged(big, make_split, make_lists, 10)
    expected = [found[str(user)]["ndcg_cut_10"] for user in judged.users]
    np.testing.assert_allclose(ACCURACY["ndcg_graded"](judged), expected, atol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_ranx_agrees(big: Any, make_split: MakeSplit, make_lists: MakeLists) -> None:
    ranx = pytest.importorskip("ranx")
    test, lists = big
    qrels = ranx.Qrels(
        {str(u): {str(i): 1 for i, v in of.items() if v >= 4} for u, of in test.items()}
    )
    run = ranx.Run(
        {str(u): {str(i): float(100 - r) for r, i in enumerate(li)} for u, li in lists.items()}
    )
    names = {"precision", "recall", "f1", "hit_rate", "mrr", "map", "ndcg"}
    found = ranx.evaluate(qrels, run, [f"{name}@10" for name in names], return_mean=False)
    judged = big_judged(big, make_split, make_lists, 10)
    position = [sorted(map(str, test)).index(str(user)) for user in judged.users]
    for name in names:
        theirs = np.asarray(found[f"{name}@10"])[position]
        np.testing.assert_allclose(ACCURACY[name](judged), theirs, atol=1e-9, err_msg=name)


def test_scikit_learn_ndcg_agrees(big: Any, make_split: MakeSplit, make_lists: MakeLists) -> None:
    from sklearn.metrics import ndcg_score

    test, lists = big
    judged = big_judged(big, make_split, make_lists, 10)
    for name, value in (("ndcg", lambda v: float(v >= 4)), ("ndcg_graded", float)):
        truth, scores = np.zeros((300, 80)), np.zeros((300, 80))
        for user in range(300):
            for item, given_value in test[user].items():
                truth[user, item] = value(given_value)
            for rank, item in enumerate(lists[user]):
                scores[user, item] = 100 - rank
            # Unlisted items come last, and irrelevant before relevant ones: no hits by ties.
            rest = sorted(set(range(80)) - set(lists[user]), key=lambda i: truth[user, i])
            for rank, item in enumerate(rest):
                scores[user, item] = -1 - rank
        for k in (3, 10):
            # A list shorter than k would let its unlisted items in; those users are left out.
            long = [u for u in range(80) if len(lists[u]) >= k]
            expected = [ndcg_score(truth[[u]], scores[[u]], k=k) for u in long]
            np.testing.assert_allclose(
                ACCURACY[name](judged.at(k))[long], expected, atol=1e-9, err_msg=name
            )


# ---- metrics x properties ----

NAMES = list(ACCURACY)
MONOTONE = ["recall", "hit_rate", "mrr", "map"]


@pytest.mark.parametrize("name", NAMES)
def test_bounded_by_0_and_1(
    name: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    for k in (1, 3, 10, 25):
        values = ACCURACY[name](big_judged(big, make_split, make_lists, k))
        assert values.dtype == np.float64
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", MONOTONE)
def test_never_falls_as_the_cutoff_grows(
    name: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    judged = big_judged(big, make_split, make_lists, 25)
    by_k = [ACCURACY[name](judged.at(k)) for k in range(1, 26)]
    assert (np.diff(by_k, axis=0) >= -1e-15).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_list_scores_1_where_it_can(
    name: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    test, _ = big
    perfect = {u: sorted(of, key=lambda i: -of[i]) for u, of in test.items()}
    for k in (1, 5, 15):
        judged = big_judged((test, perfect), make_split, make_lists, k)
        values = ACCURACY[name](judged)
        r = judged.n_relevant
        ceiling = {
            "precision": np.minimum(k, r) / k,
            "recall": np.minimum(k, r) / r,
            "map": np.minimum(k, r) / r,
            "f1": 2 * np.minimum(k, r) / (k + r),
        }
        np.testing.assert_allclose(values, ceiling.get(name, np.ones(len(r))), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["no hits", "empty lists", "no lists"])
def test_a_list_without_hits_scores_0(
    name: str, how: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    test, _ = big
    lists: dict[int, list[int]] = {
        "no hits": {u: [i for i in range(80) if i not in of][:10] for u, of in test.items()},
        "empty lists": {u: [] for u in test},
        "no lists": {},
    }[how]
    assert not ACCURACY[name](big_judged((test, lists), make_split, make_lists, 10)).any()


@pytest.mark.parametrize("name", NAMES)
def test_users_and_items_have_no_order(
    name: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    test, lists = big
    rng = np.random.default_rng(1)
    user_as, item_as = rng.permutation(300).tolist(), rng.permutation(80).tolist()
    renamed = (
        {user_as[u]: {item_as[i]: v for i, v in of.items()} for u, of in test.items()},
        {user_as[u]: [item_as[i] for i in li] for u, li in lists.items()},
    )
    before = ACCURACY[name](big_judged(big, make_split, make_lists, 10))
    after = ACCURACY[name](big_judged(renamed, make_split, make_lists, 10))
    np.testing.assert_array_equal(after[user_as], before)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_beyond_the_cutoff_does_not_matter(
    name: str, big: Any, make_split: MakeSplit, make_lists: MakeLists
) -> None:
    test, lists = big
    cut = {u: li[:5] for u, li in lists.items()}
    whole = ACCURACY[name](big_judged(big, make_split, make_lists, 5))
    np.testing.assert_array_equal(
        whole, ACCURACY[name](big_judged((test, cut), make_split, make_lists, 5))
    )
