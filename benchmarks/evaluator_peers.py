"""The job of `evaluator.py` as other libraries do it; each is imported when its turn comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from evaluator_problem import N_FACTORS, Problem
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits


def numpy_recommend(p: Problem) -> Any:
    """Blocked product, argpartition, sort: what people write."""
    n_rows, found = 512, []
    with threadpool_limits(p.threads, user_api="blas"):
        for start in range(0, p.n_users, n_rows):
            scores = p.user_factors[start : start + n_rows] @ p.item_factors.T
            scores[p.seen[start : start + n_rows].nonzero()] = -np.inf
            found.append(_best(scores, p.k))
    return np.concatenate(found)


def _best(scores: Any, k: int) -> Any:
    part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, part, 1), axis=1, kind="stable")
    return np.take_along_axis(part, order, 1)


def implicit_recommend(p: Problem) -> Any:
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    with threadpool_limits(1, user_api="blas"):
        items, _ = topk(
            p.item_factors,
            p.user_factors,
            p.k,
            filter_query_items=csr_matrix(p.seen),
            num_threads=p.threads,
        )
    return items


def torch_recommend(p: Problem) -> Any:
    import torch

    torch.set_num_threads(p.threads)
    users, items = torch.from_numpy(p.user_factors), torch.from_numpy(p.item_factors).T
    n_rows, found = 512, []
    for start in range(0, p.n_users, n_rows):
        scores = users[start : start + n_rows] @ items
        row, column = p.seen[start : start + n_rows].nonzero()
        scores[torch.from_numpy(row), torch.from_numpy(column)] = -torch.inf
        found.append(torch.topk(scores, p.k, dim=1).indices.numpy())
    return np.concatenate(found)


def numpy_metrics(p: Problem, items: Any) -> dict[str, float]:
    """The same metrics from a table of hits, as people write them; all users are evaluated."""
    values: dict[str, list[Any]] = {}
    relevant = csr_array(
        (np.ones(len(p.held.items), bool), (p.held.users[p.held.rows], p.held.items)),
        shape=(p.n_users, p.n_items),
    )
    n_rows = 4096
    for start in range(0, p.n_users, n_rows):
        truth = relevant[start : start + n_rows].toarray()
        hits = np.take_along_axis(truth, items[start : start + n_rows].astype(np.int64), 1)
        n_relevant = truth.sum(axis=1)
        evaluated = n_relevant > 0
        hits, n_relevant = hits[evaluated].astype(np.float64), n_relevant[evaluated]
        for k in p.cutoffs:
            h, ranks = hits[:, :k], np.arange(1, k + 1)
            discount = 1 / np.log2(ranks + 1)
            ideal = np.cumsum(discount)[np.minimum(k, n_relevant) - 1]
            found = {
                "precision": h.mean(axis=1),
                "recall": h.sum(axis=1) / n_relevant,
                "ndcg": h @ discount / ideal,
                "map": (h * np.cumsum(h, axis=1) / ranks).sum(axis=1) / n_relevant,
            }
            for name, value in found.items():
                values.setdefault(f"{name}@{k}", []).append(value)
    return {name: float(np.concatenate(parts).mean()) for name, parts in values.items()}


def implicit_evaluate(p: Problem, items: Any) -> dict[str, float]:
    """implicit's own evaluation: ranks again, and measures at one cutoff."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix

    shape = (p.n_users, p.n_items)
    pairs = p.held.users[p.held.rows], p.held.items
    test = csr_matrix((np.ones(len(p.held.items), np.float32), pairs), shape=shape)
    with threadpool_limits(1, user_api="blas"):
        model = AlternatingLeastSquares(factors=N_FACTORS, num_threads=p.threads)
        model.user_factors, model.item_factors = p.user_factors, p.item_factors
        found = ranking_metrics_at_k(
            model, csr_matrix(p.seen), test, p.k, show_progress=False, num_threads=p.threads
        )
    return {f"ndcg@{p.k}": found["ndcg"]}


def rectools_recommend(p: Problem) -> Any:
    from rectools.models.rank import Distance, ImplicitRanker
    from scipy.sparse import csr_matrix

    ranker = ImplicitRanker(Distance.DOT, p.user_factors, p.item_factors, num_threads=p.threads)
    with threadpool_limits(1, user_api="blas"):
        return ranker.rank(np.arange(p.n_users), k=p.k, filter_pairs_csr=csr_matrix(p.seen))


def rectools_measure(p: Problem, ranked: Any) -> dict[str, float]:
    import pandas as pd
    from rectools.metrics import MAP, NDCG, Precision, Recall, calc_metrics

    users, items, _ = ranked
    lists = pd.DataFrame({"user_id": users, "item_id": items})
    lists["rank"] = lists.groupby("user_id", sort=False).cumcount() + 1
    test = pd.DataFrame({"user_id": p.held.users[p.held.rows], "item_id": p.held.items})
    found = calc_metrics(
        {
            f"{name}@{k}": make(k)
            for k in p.cutoffs
            for name, make in (
                ("precision", Precision),
                ("recall", Recall),
                ("ndcg", lambda k: NDCG(k, divide_by_achievable=True)),
                ("map", MAP),
            )
        },
        lists,
        test,
    )
    return {name: float(value) for name, value in found.items()}


def lightfm_measure(p: Problem, items: Any) -> dict[str, float]:
    """LightFM ranks within its evaluation; only precision and recall at one cutoff."""
    from lightfm import LightFM
    from lightfm.evaluation import precision_at_k, recall_at_k
    from scipy.sparse import csr_matrix

    model = LightFM(no_components=N_FACTORS)
    model._initialize(N_FACTORS, p.n_items, p.n_users)
    model.user_embeddings, model.item_embeddings = p.user_factors, p.item_factors
    pairs = p.held.users[p.held.rows], p.held.items
    ones = np.ones(len(p.held.items), np.float32)
    test = csr_matrix((ones, pairs), shape=(p.n_users, p.n_items))
    given = {"k": p.k, "num_threads": p.threads, "check_intersections": False}
    for measure in (precision_at_k, recall_at_k):
        measure(model, test, csr_matrix(p.seen), **given)
    return {}


def lenskit_measure(p: Problem, items: Any) -> dict[str, float]:
    """LensKit's analysis of ready lists at one cutoff; it has no average precision."""
    import pandas as pd
    from lenskit.data import ItemListCollection, UserIDKey
    from lenskit.metrics import NDCG, Precision, Recall, RunAnalysis

    users = np.repeat(np.arange(p.n_users), p.k)
    ranks = np.tile(np.arange(1, p.k + 1), p.n_users)
    lists = pd.DataFrame({"user_id": users, "item_id": items.ravel(), "rank": ranks})
    test = pd.DataFrame({"user_id": p.held.users[p.held.rows], "item_id": p.held.items})
    analysis = RunAnalysis(Precision(p.k), Recall(p.k), NDCG(p.k))
    found = analysis.measure(
        ItemListCollection.from_df(lists, UserIDKey), ItemListCollection.from_df(test, UserIDKey)
    )
    return {f"ndcg@{p.k}": float(found.list_metrics()[f"NDCG@{p.k}"].mean())}


@dataclass(frozen=True)
class Contestant:
    """One way to do the job, in two steps; `needs` is the library it imports."""

    recommend: Callable[[Problem], Any]
    measure: Callable[[Problem, Any], dict[str, float]]
    needs: str
    slow: bool = False


PEERS = {
    "implicit topk + NumPy metrics": Contestant(implicit_recommend, numpy_metrics, "implicit"),
    "implicit's own evaluation": Contestant(lambda p: None, implicit_evaluate, "implicit"),
    "torch topk + NumPy metrics": Contestant(torch_recommend, numpy_metrics, "torch"),
    "NumPy argpartition + NumPy metrics": Contestant(numpy_recommend, numpy_metrics, "numpy"),
    "RecTools": Contestant(rectools_recommend, rectools_measure, "rectools", slow=True),
    "LightFM's own evaluation": Contestant(lambda p: None, lightfm_measure, "lightfm", slow=True),
    "implicit topk + LensKit metrics": Contestant(
        implicit_recommend, lenskit_measure, "lenskit", slow=True
    ),
}
