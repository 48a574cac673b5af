"""Sampled candidates: the plain figure, and the correction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from recexp.arrays import Float32Array, IdxArray
from recexp.errors import ConfigError
from recexp.evaluation import sampled
from recexp.evaluation.evaluator import evaluate
from recexp.evaluation.sampled import corrected_metric, evaluate_sampled
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]

N_USERS, N_ITEMS = 400, 300


@dataclass
class Table:
    scores: Float32Array

    def score(self, users: IdxArray) -> Float32Array:
        return self.scores[users]


@pytest.fixture
def one_each(make_split: MakeSplit) -> tuple[Split, Table, np.ndarray]:
    """One relevant item a user, its rank among all items (0 to 299), skewed to the front."""
    rng = np.random.default_rng(0)
    ranks = (N_ITEMS * rng.random(N_USERS) ** 3).astype(int)
    scores = np.sort(rng.random((N_USERS, N_ITEMS)).astype(np.float32), axis=1)[:, ::-1]
    items = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)
    table = np.empty_like(scores)
    np.put_along_axis(table, items, scores, axis=1)
    test = [(u, int(items[u, ranks[u]]), 5.0) for u in range(N_USERS)]
    return make_split([], test, N_USERS, N_ITEMS), Table(table), ranks + 1


def test_every_figure_is_called_sampled(one_each: tuple[Split, Table, np.ndarray]) -> None:
    split, table, _ = one_each
    found = evaluate_sampled(table, split)
    assert {e.segment for e in found.table} == {"sampled"}
    assert all(key.startswith("sampled/") for key in found.metrics)
    assert "sampled/ndcg_corrected_at_10" in found.metrics
    assert found.facts == {"candidates": "sampled", "n_negatives": 100}


def test_with_all_others_drawn_it_is_the_full_figure(
    one_each: tuple[Split, Table, np.ndarray],
) -> None:
    split, table, ranks = one_each
    found = evaluate_sampled(table, split, n_negatives=N_ITEMS, cutoffs=(10,)).metrics
    assert found["sampled/recall_at_10"] == pytest.approx((ranks <= 10).mean())
    ndcg = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean()
    for name in ("sampled/ndcg_at_10", "sampled/ndcg_corrected_at_10"):
        assert found[name] == pytest.approx(ndcg)


def test_with_several_relevant_items_it_ranks_them_together(make_split: MakeSplit) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 12, (30, 25)).astype(np.float32)  # ties
    pairs = np.argwhere(rng.random((30, 25)) < 0.3)
    train = [(int(u), int(i), 5.0) for u, i in pairs[::5]]
    test = [(int(u), int(i), 5.0) for j, (u, i) in enumerate(pairs) if j % 5]
    split = make_split(train, test, 30, 25)
    found = evaluate_sampled(Table(scores), split, n_negatives=25, cutoffs=(5,), seed=3)
    from recexp.evaluation.topk import tie_order, top_k
    from recexp.rng import derive

    lists: TopK = top_k(
        Table(scores),
        np.arange(30, dtype=np.int32),
        5,
        seen=split.seen(),
        candidates=None,
        tie_rank=tie_order(25, derive(3, "ties")),
        threads=1,
        memory_mb=64,
    )
    full = evaluate(lists, split, cutoffs=(5,)).metrics
    for name in ("precision", "recall", "f1", "ndcg", "mrr", "map", "hit_rate"):
        assert found.metrics[f"sampled/{name}_at_5"] == pytest.approx(full[f"{name}_at_5"])


def test_the_plain_figure_flatters_and_the_correction_comes_nearer(
    one_each: tuple[Split, Table, np.ndarray],
) -> None:
    split, table, ranks = one_each
    exact = (ranks <= 10).mean()
    plain, corrected = [], []
    for seed in range(20):
        found = evaluate_sampled(
            table, split, n_negatives=60, metrics=["recall@10"], seed=seed, n_resamples=0
        ).metrics
        plain.append(found["sampled/recall_at_10"])
        corrected.append(found["sampled/recall_corrected_at_10"])
    assert np.mean(plain) > exact + 0.1
    assert abs(np.mean(corrected) - exact) < 0.25 * (np.mean(plain) - exact)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.9])
def test_the_estimator_minimizes_squared_bias_plus_weighted_variance(gamma: float) -> None:
    n, m = 30, 6
    rank = np.arange(1, n + 1)
    target = np.where(rank <= 3, 1 / np.log2(rank + 1), 0)
    # P(s - 1 sampled items of m are among the r - 1 better ones of n - 1)
    p = np.array(
        [
            [
                math.comb(r - 1, s) * math.comb(n - r, m - s) / math.comb(n - 1, m)
                for s in range(m + 1)
            ]
            for r in rank
        ]
    )

    def objective(e: np.ndarray) -> float:
        mean = p @ e
        return float(((mean - target) ** 2 + gamma * (p @ e**2 - mean**2)).mean())

    best = corrected_metric(target, m, gamma)
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert objective(best) <= objective(best + rng.normal(0, 0.01, m + 1)) + 1e-12


def test_blocks_of_users_do_not_change_the_sample(
    one_each: tuple[Split, Table, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, table, _ = one_each
    whole = evaluate_sampled(table, split, n_resamples=0).metrics
    monkeypatch.setattr(sampled, "_BLOCK_SCORES", 37 * N_ITEMS)
    assert evaluate_sampled(table, split, n_resamples=0).metrics == whole


def test_what_has_no_meaning_here_is_refused(one_each: tuple[Split, Table, np.ndarray]) -> None:
    split, table, _ = one_each
    with pytest.raises(ConfigError, match="'coverage@10' is not defined over sampled"):
        evaluate_sampled(table, split, metrics=["coverage@10"])
    with pytest.raises(ConfigError, match="n_negatives=0"):
        evaluate_sampled(table, split, n_negatives=0)
