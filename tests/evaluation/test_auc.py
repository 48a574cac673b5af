"""AUC against pairs counted one by one and against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recexp.arrays import Float32Array, IdxArray
from recexp.evaluation import auc as auc_module
from recexp.evaluation.auc import auc, rank_all
from recexp.evaluation.judge import holdout
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]


@dataclass
class Table:
    """A recommender that was told its scores."""

    scores: Float32Array

    def score(self, users: IdxArray) -> Float32Array:
        return self.scores[users]


def naive(scores: Any, relevant: set[int], candidates: set[int]) -> float:
    """The share of (relevant, other) pairs in order, ties half; NaN without pairs."""
    ours, others = relevant & candidates, candidates - relevant
    if not ours or not others:
        return float("nan")
    won = sum(
        (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for i in ours for j in others
    )
    return float(won) / (len(ours) * len(others))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    n_users, n_items = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    pair = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    score = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.25, 3.0])
    return {
        "n_users": n_users,
        "n_items": n_items,
        "train": [(u, i, 5.0) for u, i in draw(st.lists(pair, max_size=8))],
        "test": [(u, i, 5.0) for u, i in draw(st.lists(pair, min_size=1, max_size=12))],
        "candidates": np.array(draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))),
        "segment": np.array(draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))),
        "scores": np.array(
            [[draw(score) for _ in range(n_items)] for _ in range(n_users)], np.float32
        ),
    }


@settings(derandomize=True, max_examples=150, deadline=None)
@given(case=cases(), exclude_seen=st.booleans())
def test_equals_pairs_counted_one_by_one(
    case: dict[str, Any], exclude_seen: bool, make_split: MakeSplit
) -> None:
    split = make_split(case["train"], case["test"], case["n_users"], case["n_items"])
    seen = split.seen() if exclude_seen else None
    ranked = rank_all(Table(case["scores"]), holdout(split), seen, case["candidates"])
    for part, allowed in (
        (ranked, np.ones(case["n_items"], bool)),
        (ranked.within(case["segment"]), case["segment"]),
    ):
        relevant: dict[int, set[int]] = {}
        for u, i, _ in case["test"]:
            if allowed[i]:
                relevant.setdefault(u, set()).add(i)
        assert part.holdout.users.tolist() == sorted(relevant)
        expected = []
        for u in sorted(relevant):
            taken = {i for v, i, _ in case["train"] if v == u} if exclude_seen else set()
            candidates = set(np.flatnonzero(case["candidates"]).tolist()) - taken
            expected.append(naive(case["scores"][u], relevant[u], candidates))
        np.testing.assert_allclose(auc(part), expected, atol=1e-12)


@pytest.fixture
def large(make_split: MakeSplit) -> tuple[Split, Table]:
    """60 users x 200 items; scores of few distinct values, so that many tie."""
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((60, 200)) < 0.1)
    rows = [(int(u), int(i), 5.0) for u, i in zip(users, items, strict=True)]
    table = Table(rng.integers(0, 40, (60, 200)).astype(np.float32) / 8)
    return make_split([], rows, 60, 200), table


def test_scikit_learn_agrees(large: tuple[Split, Table]) -> None:
    from sklearn.metrics import roc_auc_score

    split, table = large
    held = holdout(split)
    truth = np.zeros((60, 200))
    truth[split.test.user_idx, split.test.item_idx] = 1
    expected = [roc_auc_score(truth[u], table.scores[u]) for u in held.users]
    found = auc(rank_all(table, held, None, np.ones(200, bool)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_blocks_of_users_do_not_change_it(
    large: tuple[Split, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, table = large
    whole = auc(rank_all(table, holdout(split), None, np.ones(200, bool)))
    monkeypatch.setattr(auc_module, "_BLOCK_SCORES", 7 * 200)
    blocks = auc(rank_all(table, holdout(split), None, np.ones(200, bool)))
    np.testing.assert_array_equal(whole, blocks)


def test_neither_shift_nor_scale_of_the_scores_changes_it(large: tuple[Split, Table]) -> None:
    split, table = large
    other = Table(table.scores * 4 - 100)
    of = [auc(rank_all(t, holdout(split), None, np.ones(200, bool))) for t in (table, other)]
    np.testing.assert_array_equal(*of)


def test_perfect_scores_give_1_reversed_0_and_equal_ones_one_half(
    large: tuple[Split, Table],
) -> None:
    split, _ = large
    truth = np.zeros((60, 200), np.float32)
    truth[split.test.user_idx, split.test.item_idx] = 1
    for scores, expected in ((truth, 1.0), (-truth, 0.0), (0 * truth, 0.5)):
        values = auc(rank_all(Table(scores), holdout(split), None, np.ones(200, bool)))
        assert set(values.tolist()) == {expected}
