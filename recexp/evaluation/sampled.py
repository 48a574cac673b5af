"""Sampled candidates: for reproducing papers only, with the correction that brings them nearer.

Ranking a user's relevant items against a few random other items instead of all does not keep the
order of two recommenders, not even in expectation (Krichene, Rendle, KDD 2020). Every figure made
here is therefore called `sampled/...`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IntArray, Sparse
from recexp.errors import ConfigError
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.evaluator import DEFAULT_CUTOFFS, Evaluation
from recexp.evaluation.judge import Holdout, Judged, holdout
from recexp.evaluation.metrics import Measure, list_length, mlflow_name, select
from recexp.evaluation.summary import summarize
from recexp.evaluation.topk import Scores, tie_order
from recexp.progress import progress
from recexp.rng import derive
from recexp.splits.base import Split

SAMPLED_METRICS = ("precision", "recall", "f1", "ndcg", "hit_rate", "mrr", "map")

AT_RANK: Mapping[str, Callable[[IntArray, int], FloatArray]] = {
    "recall": lambda rank, k: (rank <= k).astype(np.float64),
    "ndcg": lambda rank, k: (rank <= k) / np.log2(rank + 1),
    "map": lambda rank, k: (rank <= k) / rank,
}
"""M(r) of the metrics that are corrected: their value for a single relevant item at rank r."""

_BLOCK_SCORES = 1 << 22


def evaluate_sampled(
    scorer: Scores,
    split: Split,
    *,
    n_negatives: int = 100,
    metrics: Sequence[str] = SAMPLED_METRICS,
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    candidates: BoolArray | None = None,
    exclude_seen: bool = True,
    relevance_threshold: float | None = None,
    gamma: float = 0.1,
    seed: int = 42,
    n_resamples: int = 1000,
) -> Evaluation:
    """Return metrics over sampled candidates, all of them named `sampled/...`.

    The candidates of a user are his relevant test items and `n_negatives` others, drawn uniformly
    without replacement from those that he may be recommended and that are not relevant.
    `sampled/ndcg@10` is the plain metric of their ranking. Beside it `sampled/ndcg_corrected@10`,
    and the same for recall and map, estimates the figure over all candidates by
    `corrected_metric`: the mean over the user's relevant items, each ranked among the others alone.

    Raises ConfigError for metrics that have no meaning here.
    """
    measures = select(metrics, cutoffs)
    for measure in measures:
        if measure.metric.name not in SAMPLED_METRICS:
            raise ConfigError(
                f"metric '{measure.name}' is not defined over sampled candidates; "
                f"choose from {', '.join(SAMPLED_METRICS)}"
            )
    if n_negatives < 1:
        raise ConfigError(f"n_negatives={n_negatives}: expected a whole number from 1")
    n_items = split.train.n_items
    candidates = np.ones(n_items, bool) if candidates is None else candidates
    held = _relevant_only(holdout(split, relevance_threshold))
    seen = split.seen() if exclude_seen else None
    ranks = _sampled_ranks(scorer, held, seen, candidates, n_negatives, seed)

    depth = list_length(measures)
    found = np.flatnonzero((ranks.pooled > 0) & (ranks.pooled <= depth))
    found = found[np.lexsort((ranks.pooled[found], held.rows[found]))]
    no_lists = np.empty((len(held.users), 0), np.int32)
    catalogue = Catalogue(split, candidates)
    judged = Judged(depth, no_lists, held, catalogue, held.rows[found], ranks.pooled[found], found)
    columns: dict[str, AnyArray] = {"user_idx": held.users, "n_relevant": held.n_relevant}
    for measure in measures:
        assert measure.cutoff is not None
        values = measure.metric(judged.at(measure.cutoff))
        columns[f"sampled/{mlflow_name(measure.name)}"] = values
        if measure.metric.name in AT_RANK:
            name = f"{measure.metric.name}_corrected@{measure.cutoff}"
            columns[f"sampled/{mlflow_name(name)}"] = _corrected(measure, held, ranks, gamma)
    table = summarize(columns, seed=seed, n_resamples=n_resamples)
    return Evaluation(columns, table, {"candidates": "sampled", "n_negatives": n_negatives})


def corrected_metric(at_rank: FloatArray, n_sampled: int, gamma: float = 0.1) -> FloatArray:
    """Return the metric to record for each rank among sampled items, float64 (n_sampled + 1,).

    Krichene, Rendle 2020, "On Sampled Metrics for Item Recommendation", the estimator that trades
    bias for variance. Of n items, one relevant at rank r, `n_sampled` = m of the others are drawn;
    its rank s among them has p(s|r), hypergeometric as the draw is without replacement. With a
    uniform prior p(r) = 1/n, the estimate e(s) minimizes the mean over r of

        (E[e(s)|r] - M(r))^2 + gamma Var[e(s)|r]

    and is e = ((1 - gamma) A'A + gamma diag(c))^-1 A'b, where A_rs = sqrt(p(r)) p(s|r),
    b_r = sqrt(p(r)) M(r) and c_s = sum over r of p(r) p(s|r).

    Args:
        at_rank: M(r) for r = 1..n, float64 (n,).
        gamma: the weight of the variance; 0 minimizes the bias alone.
    """
    n = len(at_rank)
    p = _rank_probabilities(n, n_sampled)
    normal = (1 - gamma) * p.T @ p + gamma * np.diag(p.sum(axis=0))
    estimate: AnyArray = np.linalg.solve(normal, p.T @ at_rank)
    return estimate


def _rank_probabilities(n: int, m: int) -> FloatArray:
    """P(rank s among m sampled | rank r among n), float64 (n, m + 1); rows r, columns s."""
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(n + 1), 1)))

    def log_choose(total: IntArray, part: IntArray) -> FloatArray:
        inside = (part >= 0) & (part <= total)
        part = np.where(inside, part, 0)
        logs = log_factorial[total] - log_factorial[part] - log_factorial[total - part]
        return np.where(inside, logs, -np.inf)

    better, drawn = np.arange(n)[:, None], np.arange(m + 1)
    ahead = log_choose(better, drawn) + log_choose(n - 1 - better, m - drawn)
    return np.exp(ahead - log_choose(np.array(n - 1), np.array(m)))


@dataclass(frozen=True, eq=False)
class _Ranks:
    """Ranks from 1 of the relevant items, int64 (p,); 0 for one that is no candidate.

    `alone`: among the sampled others; `pooled`: also among the user's other relevant items;
    `n_others`: how many others each user's were drawn from, int64 (n,).
    """

    alone: IntArray
    pooled: IntArray
    n_others: IntArray
    n_drawn: int


def _sampled_ranks(
    scorer: Scores,
    held: Holdout,
    seen: Sparse | None,
    candidates: BoolArray,
    n_negatives: int,
    seed: int,
) -> _Ranks:
    n, n_items, p = len(held.users), len(candidates), len(held.items)
    tie_rank = tie_order(n_items, derive(seed, "ties"))
    rng = derive(seed, "sampled candidates")
    n_drawn = min(n_negatives, n_items)
    ranks = _Ranks(np.zeros(p, np.int64), np.zeros(p, np.int64), np.zeros(n, np.int64), n_drawn)
    size = max(1, _BLOCK_SCORES // n_items)
    starts = range(0, n, size)
    for start in progress(starts, "sampled", total=len(starts)):
        users = held.users[start : start + size]
        open_ = np.broadcast_to(candidates, (len(users), n_items)).copy()
        if seen is not None:
            open_[seen[users].nonzero()] = False
        mine = np.flatnonzero((held.rows >= start) & (held.rows < start + size))
        mine = mine[open_[held.rows[mine] - start, held.items[mine]]]
        row, item = held.rows[mine] - start, held.items[mine]
        every = slice(*np.searchsorted(held.rows, [start, start + size]))
        open_[held.rows[every] - start, held.items[every]] = False
        ranks.n_others[start : start + size] = open_.sum(axis=1)

        lot = np.where(open_, rng.random(open_.shape, np.float32), np.float32(2))
        drawn = np.argpartition(lot, n_drawn - 1, axis=1)[:, :n_drawn]
        there = np.take_along_axis(open_, drawn, axis=1)
        scores = scorer.score(users)
        others = np.where(there, np.take_along_axis(scores, drawn, axis=1), -np.inf)
        order = np.where(there, tie_rank[drawn], n_items)
        score = scores[row, item]
        ahead = others[row] > score[:, None]
        ahead |= (others[row] == score[:, None]) & (order[row] < tie_rank[item][:, None])
        ranks.alone[mine] = 1 + ahead.sum(axis=1)
        best_first = np.lexsort((tie_rank[item], -score, row))
        first = np.searchsorted(row[best_first], row[best_first])
        ranks.pooled[mine[best_first]] = ranks.alone[mine[best_first]] + np.arange(len(row)) - first
    return ranks


def _corrected(measure: Measure, held: Holdout, ranks: _Ranks, gamma: float) -> FloatArray:
    """The corrected metric of each user: the mean over his relevant items, 0 for no candidate.

    The number of items n differs a little between users; the estimator is that of the mean n.
    """
    assert measure.cutoff is not None
    n = round(float(ranks.n_others.mean())) + 1
    at_rank = AT_RANK[measure.metric.name](np.arange(1, n + 1), measure.cutoff)
    estimate = corrected_metric(at_rank, min(ranks.n_drawn, n - 1), gamma)
    estimate = np.append(0.0, estimate)  # rank 0: no candidate
    values = estimate[np.minimum(ranks.alone, len(estimate) - 1)]
    sums: AnyArray = np.bincount(held.rows, values, minlength=len(held.users))
    return sums / held.n_relevant


def _relevant_only(held: Holdout) -> Holdout:
    kept = held.relevant
    parts = (held.items[kept], held.values[kept], held.relevant[kept])
    return Holdout(held.users, held.rows[kept], *parts)
