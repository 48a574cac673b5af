"""Lists made by any other system, measured by the same definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recexp.arrays import AnyArray, IdxArray, IntArray
from recexp.data.dataset import Dataset, default_threshold
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError
from recexp.evaluation.evaluator import DEFAULT_CUTOFFS, DEFAULT_METRICS, Evaluation, evaluate
from recexp.evaluation.judge import evaluated_users
from recexp.evaluation.metrics import list_length, select
from recexp.evaluation.topk import TopK, tie_order
from recexp.rng import derive
from recexp.splits.base import Split

Columns = Mapping[str, AnyArray]
"""Parallel columns by name, as read from a CSV or Parquet file."""

_KINDS = {"i": "whole numbers", "u": "whole numbers", "O": "text", "U": "text", "T": "text"}
_RATING = ("rating", "value")
NEED_TRAINING = ("popularity", "novelty", "serendipity")


@dataclass(frozen=True, eq=False)
class ExternalEvaluation:
    """The evaluation of lists from elsewhere.

    Attributes:
        evaluation: see `evaluate`; its `user_idx` are of `users`.
        users, items: the id maps of the given ids.
        assumptions: what the files do not say and was assumed, and what was put right; a sentence
            each.
    """

    evaluation: Evaluation
    users: IdMap
    items: IdMap
    assumptions: tuple[str, ...]


def evaluate_lists(
    test: Columns,
    recommendations: Columns,
    train: Columns | None = None,
    *,
    metrics: Sequence[str] | None = None,
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    relevance_threshold: float | None = None,
    seed: int = 42,
    n_resamples: int = 1000,
) -> ExternalEvaluation:
    """Return the evaluation of `recommendations` against `test`.

    Args:
        test: columns `user`, `item` and, where there are ratings, `rating`.
        recommendations: columns `user`, `item` and `rank` (smaller is better) or `score` (larger
            is better); with both, `rank` counts.
        train: columns as `test`; allows segments and the metrics that need popularity.
        metrics: None for those of the default ones that the files allow.
        relevance_threshold: of the ratings; None for the default of the observed scale.

    Ids are whole numbers or text, alike in all files; their columns may also be called `user_id`
    and `item_id`. Raises DataError for columns that are missing or unfit, ConfigError for metrics
    that the files do not allow.
    """
    given = {"test": test, "recommendations": recommendations}
    given |= {} if train is None else {"train": train}
    if metrics is None:
        metrics = [name for name in DEFAULT_METRICS if train or name not in NEED_TRAINING]
    measures = select(metrics, cutoffs)
    for measure in measures:
        if measure.metric.name in NEED_TRAINING and train is None:
            raise ConfigError(f"metric '{measure.name}' needs the training part: give it too")
    notes: list[str] = []
    users, user_idx = _ids(given, "user")
    items, item_idx = _ids(given, "item")
    split = _split(given, users, items, user_idx, item_idx, relevance_threshold, notes)
    of_lists = (user_idx["recommendations"], item_idx["recommendations"])
    tie_rank = tie_order(len(items), derive(seed, "ties"))
    places = _places(recommendations, *of_lists, tie_rank, notes)
    lists = _lists(*of_lists, places, list_length(measures), split, notes)
    evaluation = evaluate(
        lists, split, metrics=metrics, cutoffs=cutoffs, seed=seed, n_resamples=n_resamples
    )
    return ExternalEvaluation(evaluation, users, items, tuple(notes))


def _column(name: str, columns: Columns, *accepted: str) -> AnyArray:
    for key in accepted:
        if key in columns:
            return np.asarray(columns[key])
    raise DataError(
        f"{name} has no column '{accepted[0]}' (found: {', '.join(columns)}): rename or add it"
    )


def _numbers(name: str, columns: Columns, *accepted: str) -> AnyArray:
    column = _column(name, columns, *accepted)
    if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
        raise DataError(f"{name}: column '{accepted[0]}' must hold finite numbers in every row")
    return column


def _ids(given: Mapping[str, Columns], side: str) -> tuple[IdMap, dict[str, IdxArray]]:
    """The map of all `user` or `item` ids, and the idx of each file's rows."""
    columns = {name: _column(name, table, side, f"{side}_id") for name, table in given.items()}
    kinds = {name: _KINDS.get(c.dtype.kind, str(c.dtype)) for name, c in columns.items()}
    if len(set(kinds.values())) > 1 or not set(kinds.values()) <= set(_KINDS.values()):
        found = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise DataError(
            f"{side} ids are {found}; expected whole numbers in all files, or text in all"
        )
    ids, idx = IdMap.factorize(np.concatenate(list(columns.values())))
    edges = np.cumsum([len(column) for column in columns.values()])[:-1]
    return ids, dict(zip(columns, np.split(idx, edges), strict=True))


def _split(
    given: Mapping[str, Columns],
    users: IdMap,
    items: IdMap,
    user_idx: Mapping[str, IdxArray],
    item_idx: Mapping[str, IdxArray],
    threshold: float | None,
    notes: list[str],
) -> Split:
    """The given train (or none) and test over all users and items that occur."""
    none = np.zeros(0, np.int32)
    sides, ratings = {}, {}
    for name in ("train", "test"):
        idx = (user_idx.get(name, none), item_idx.get(name, none))
        values = np.ones(len(idx[0]), np.float32)
        if any(column in _RATING for column in given.get(name, ())):
            values = _numbers(name, given[name], *_RATING).astype(np.float32)
            ratings[name] = values
        sides[name] = Interactions(*idx, values, None, len(users), len(items))
    scale = None
    if "test" in ratings:
        every = np.concatenate(list(ratings.values()))
        low, high = float(every.min()), float(every.max())
        scale = (min(low, 1.0) if high == 5 else low, high)  # five stars, even if nobody gave one
        if threshold is None:
            threshold = default_threshold(scale)
            notes.append(
                f"relevant from a rating of {threshold:g} on: the default for the scale "
                f"{scale[0]:g} to {scale[1]:g}, judged by the ratings that occur"
            )
    else:
        notes.append("no ratings: every test row is relevant")
        threshold = None
    if "train" not in given:
        notes.append("no training part: no segments, nothing that needs popularity")
    notes.append(
        f"the catalogue is the {len(items):,} items that occur in the files "
        "(coverage and gini are over these)"
    )
    train = Dataset("the given files", sides["train"], users, items, scale, threshold)
    return Split(train, sides["test"])


def _places(
    table: Columns, user: IdxArray, item: IdxArray, tie_rank: IdxArray, notes: list[str]
) -> IntArray:
    """The place of each row in its user's list, from 0; -1 for a repeated item."""
    if "rank" in table:
        key = _numbers("recommendations", table, "rank")
    elif "score" in table:
        key = -_numbers("recommendations", table, "score").astype(np.float64)
    else:
        raise DataError(
            f"recommendations have neither 'rank' nor 'score' (found: {', '.join(table)}): add one"
        )
    order = np.lexsort((tie_rank[item], key, user))
    pair = user[order] * np.int64(len(tie_rank)) + item[order]
    _, first = np.unique(pair, return_index=True)
    kept = order[np.sort(first)]
    if n_repeated := len(order) - len(kept):
        notes.append(f"{n_repeated:,} rows repeat an item of the same user: the best one counts")
    same_user = user[kept][1:] == user[kept][:-1]
    n_tied = int((same_user & (key[kept][1:] == key[kept][:-1])).sum())
    if n_tied and "rank" in table:
        raise DataError(
            f"recommendations: {n_tied:,} items share the rank of another item of the same user; "
            "expected ranks 1, 2, 3, ..."
        )
    if n_tied:
        notes.append(f"{n_tied:,} tied scores: their order is pseudo-random, drawn from the seed")
    starts = np.flatnonzero(np.append(True, ~same_user)) if len(kept) else kept
    lengths = np.diff(np.append(starts, len(kept)))
    place = np.arange(len(kept)) - np.repeat(starts, lengths)
    if "rank" in table and not np.array_equal(key[kept], place + 1):
        notes.append("ranks do not count 1, 2, 3, ... in every list: their order counts")
    places = np.full(len(user), -1, np.int64)
    places[kept] = place
    return places


def _lists(
    user: IdxArray, item: IdxArray, places: IntArray, k: int, split: Split, notes: list[str]
) -> TopK:
    """The lists of length k of the users who are evaluated."""
    evaluated = evaluated_users(split)
    with_list = np.unique(user)
    if n := len(np.setdiff1d(with_list, evaluated)):
        notes.append(f"{n:,} users with a list have no relevant test item: left out")
    if n := len(np.setdiff1d(evaluated, with_list)):
        notes.append(f"{n:,} users with a relevant test item have no list: all places are misses")
    lists = TopK.empty(evaluated, k)
    rows = np.searchsorted(evaluated, user)
    mine = (places >= 0) & (places < k) & np.isin(user, evaluated)
    lists.items[rows[mine], places[mine]] = item[mine]
    if n := int(((lists.items >= 0).any(axis=1) & (lists.items[:, -1] < 0)).sum()):
        notes.append(f"{n:,} lists are shorter than {k}: the missing places are misses")
    train = split.train.interactions
    n_items = np.int64(train.n_items)
    taken = np.isin(user * n_items + item, train.user_idx * n_items + train.item_idx)
    if n := int((taken & mine).sum()):
        notes.append(f"{n:,} recommended items were in the user's training part: they keep places")
    return lists
