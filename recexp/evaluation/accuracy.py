"""Ranking accuracy: how well the first k places of a list hold the relevant items.

Each metric is a pure function of a `Judged`: one value per user, float64 (n,). Notation: h_i = 1
if the item at rank i is relevant, R = the user's relevant test items (never empty).
"""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, FloatArray
from recexp.errors import DataError
from recexp.evaluation.arithmetic import ratio
from recexp.evaluation.judge import Judged
from recexp.evaluation.registry import metric

_TREC = "trec_eval"
_MANNING = "Manning, Raghavan, Schütze 2008, Introduction to Information Retrieval"


@metric("sum(h_1..h_k) / k", f"{_TREC} P")
def precision(judged: Judged) -> FloatArray:
    """The share of the k places that hold a relevant item; k also when the list is shorter."""
    return judged.n_hits / judged.k


@metric("sum(h_1..h_k) / |R|", f"{_TREC} recall")
def recall(judged: Judged) -> FloatArray:
    """The share of the relevant items that the list holds."""
    return judged.n_hits / judged.n_relevant


@metric("sum(h_1..h_k) / min(k, |R|)", "Liang et al. 2018 (Mult-VAE), Steck 2019 (EASE): Recall@k")
def recall_capped(judged: Judged) -> FloatArray:
    """Recall over what k places can hold, so that a perfect list scores 1 at every cutoff."""
    return judged.n_hits / np.minimum(judged.k, judged.n_relevant)


@metric("2PR / (P + R) of the user's precision@k and recall@k", f"{_MANNING}, section 8.3")
def f1(judged: Judged) -> FloatArray:
    """The harmonic mean of the user's own precision and recall; 0 when both are 0.

    With P = h / k and R = h / |R| it is 2h / (k + |R|).
    """
    return 2 * judged.n_hits / (judged.k + judged.n_relevant)


@metric("1 if any of h_1..h_k is 1", f"{_TREC} success")
def hit_rate(judged: Judged) -> FloatArray:
    """Whether the list holds any relevant item."""
    return (judged.n_hits > 0).astype(np.float64)


@metric("1 / rank of the first hit within k, else 0", f"{_TREC} recip_rank; Voorhees 1999, TREC-8")
def mrr(judged: Judged) -> FloatArray:
    """The reciprocal rank of the first hit."""
    return judged.sum_over_hits((judged.hit_counts == 1) / judged.hit_ranks)


@metric("sum over i<=k of h_i * precision@i, / |R|", f"{_TREC} map_cut")
def map(judged: Judged) -> FloatArray:
    """Average precision over all relevant items."""
    return _sum_of_precisions(judged) / judged.n_relevant


@metric("sum over i<=k of h_i * precision@i, / min(k, |R|)", "Kaggle MAP@K and many papers")
def map_capped(judged: Judged) -> FloatArray:
    """Average precision over what k places can hold."""
    return _sum_of_precisions(judged) / np.minimum(judged.k, judged.n_relevant)


@metric(
    "DCG / ideal DCG, DCG = sum of h_i / log2(i + 1), ideal: min(k, |R|) hits first",
    f"{_TREC} ndcg_cut; Järvelin, Kekäläinen 2002, ACM TOIS 20(4)",
)
def ndcg(judged: Judged) -> FloatArray:
    """Discounted cumulative gain with binary gains, over that of an ideal list."""
    ideal = np.cumsum(_discount(np.arange(1, judged.k + 1)))
    dcg = judged.sum_over_hits(_discount(judged.hit_ranks))
    best: FloatArray = ideal[np.minimum(judged.k, judged.n_relevant) - 1]
    return dcg / best


@metric(
    "DCG / ideal DCG, DCG = sum of value_i / log2(i + 1), ideal: the test values, largest first",
    "Järvelin, Kekäläinen 2002, ACM TOIS 20(4), linear gain",
)
def ndcg_graded(judged: Judged) -> FloatArray:
    """Discounted cumulative gain of the test values themselves, over that of an ideal list.

    All test items count, the relevance threshold is not applied; 0 when every value is 0. Raises
    DataError for negative values, which have no gain.
    """
    held = judged.holdout
    if held.values.min(initial=0) < 0:
        raise DataError("ndcg_graded needs test values >= 0: shift the values, or use ndcg")
    n = len(held.users)
    order = np.lexsort((-held.values, held.rows))
    sizes = np.bincount(held.rows, minlength=n)
    ranks = np.arange(1, len(order) + 1) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    best = order[ranks <= judged.k]
    gains = held.values[best] * _discount(ranks[ranks <= judged.k])
    ideal = np.bincount(held.rows[best], gains, minlength=n)
    gains = held.values[judged.pairs] * _discount(judged.ranks)
    dcg = np.bincount(judged.rows, gains, minlength=n)
    return ratio(dcg, ideal, 0.0)


def _sum_of_precisions(judged: Judged) -> FloatArray:
    return judged.sum_over_hits(judged.hit_counts / judged.hit_ranks)


def _discount(ranks: AnyArray) -> FloatArray:
    discount: FloatArray = 1 / np.log2(ranks + 1)
    return discount
