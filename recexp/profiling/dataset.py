"""A dataset in numbers: what `data describe` prints and plots, and what a run records."""

from __future__ import annotations

from typing import Any

import numpy as np

from recexp.arrays import AnyArray, FloatArray, IntArray
from recexp.data.dataset import Dataset

FEW = 5
"""Users and items with fewer interactions than this are nearly cold."""
HEAD = 0.2
"""The share of the items whose share of the interactions is told."""
MOST_VALUES = 50
"""More distinct values than this are counted in bins."""
N_BINS = 20
N_PERIODS = 60
N_CURVE = 100
SECONDS_PER_DAY = 86_400


def profile(dataset: Dataset) -> dict[str, Any]:
    """Return the profile of a dataset as plain JSON values, the same for the same dataset.

    `n_interactions, n_users, n_items` (those with an interaction; `idle_users`, `idle_items` have
    none), `density` (distinct pairs over all pairs), `repeated_pairs` (interactions of a pair that
    occurred before);

    `values`: None without ratings, else `scale`, `mean`, `std`, `quartiles`, `positive_share` (at
    or above `relevance_threshold`), `distribution` (see below);

    `users` and `items`: `mean`, `median`, `min`, `max` of their numbers of interactions, `gini`
    (Gini index of these), `head_share` (of the interactions, held by the most active fifth),
    `few_share` (of the users, or items: fewer than 5 interactions), `distribution` (bins twice as
    wide each), `lorenz`: the share of the interactions that the most active 0 %, 1 %, ..., 100 %
    hold;

    `time`: None without, else `first`, `last` (ISO 8601, UTC), `days`, `per_day`, `distribution`;

    `user_columns`, `item_columns`: by name the share `known` and the number of `distinct` texts;
    `user_features`, `item_features`: how many.

    A `distribution` is `{"edges": [n + 1 edges], "counts": [n]}`, the last bin with its end, or
    `{"values": [...], "counts": [...]}` of at most 50 distinct values.
    """
    it = dataset.interactions
    pairs = distinct_pairs(dataset)
    users, items = it.user_counts(), it.item_counts()
    active = [counts[counts > 0] for counts in (users, items)]
    return {
        "name": dataset.name,
        "n_interactions": len(it),
        "n_users": len(active[0]),
        "n_items": len(active[1]),
        "idle_users": len(users) - len(active[0]),
        "idle_items": len(items) - len(active[1]),
        "density": pairs / (len(active[0]) * len(active[1])),
        "repeated_pairs": len(it) - pairs,
        "relevance_threshold": dataset.relevance_threshold,
        "values": _values(dataset),
        "users": _activity(active[0]),
        "items": _activity(active[1]),
        "time": None if it.timestamp is None else _time(it.timestamp),
        "user_columns": {name: _column(texts) for name, texts in dataset.user_columns.items()},
        "item_columns": {name: _column(texts) for name, texts in dataset.item_columns.items()},
        "user_features": 0 if dataset.user_features is None else len(dataset.user_features.names),
        "item_features": 0 if dataset.item_features is None else len(dataset.item_features.names),
    }


def gini(counts: AnyArray) -> float:
    """Return the Gini index of positive numbers: 0 when all are equal, towards 1 for inequality.

    sum((2i - n - 1) x_i) / (n sum(x)) over x ascending, i from 1 (Gini 1912; the mean absolute
    difference over twice the mean).

    >>> gini(np.array([1, 1, 1])), gini(np.array([1, 3]))
    (0.0, 0.25)
    """
    x = np.sort(counts).astype(np.float64)
    n = len(x)
    return float(((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * x.sum()))


def lorenz(counts: AnyArray, n_points: int = N_CURVE) -> FloatArray:
    """Return the share of the total that the largest 0, 1/n, ..., 1 of `counts` hold, (n + 1,).

    Linear between the places of single users or items.
    """
    held = np.append(0.0, np.cumsum(np.sort(counts)[::-1])) / counts.sum()
    places = np.linspace(0, len(counts), n_points + 1)
    curve: FloatArray = np.interp(places, np.arange(len(held)), held)
    return curve


def distinct_pairs(dataset: Dataset) -> int:
    """Return the number of distinct (user, item) pairs."""
    it = dataset.interactions
    pairs = it.user_idx.astype(np.int64) * it.n_items + it.item_idx
    steps = np.diff(pairs)
    if (steps < 0).any():  # not in canonical order, as in a part of a dataset
        steps = np.diff(np.sort(pairs))
    return 1 + int(np.count_nonzero(steps))


def _values(dataset: Dataset) -> dict[str, Any] | None:
    if dataset.scale is None:
        return None
    values = dataset.interactions.value
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= MOST_VALUES:
        shown = {"values": distinct.tolist(), "counts": counts.tolist()}
    else:
        shown = _binned(values, np.linspace(*dataset.scale, N_BINS + 1))
    place = np.cumsum(counts)
    quartiles = distinct[np.searchsorted(place, len(values) * np.array([0.25, 0.5, 0.75]))]
    threshold = dataset.relevance_threshold
    positive = counts if threshold is None else counts[distinct >= np.float32(threshold)]
    return {
        "scale": list(dataset.scale),
        "mean": float(values.mean(dtype=np.float64)),
        "std": float(values.std(dtype=np.float64)),
        "quartiles": quartiles.tolist(),
        "positive_share": float(positive.sum() / len(values)),
        "distribution": shown,
    }


def _activity(counts: IntArray) -> dict[str, Any]:
    curve = lorenz(counts)
    doubling = 2 ** np.arange(int(counts.max()).bit_length() + 1)
    return {
        "mean": float(counts.mean()),
        "median": float(np.median(counts)),
        "min": int(counts.min()),
        "max": int(counts.max()),
        "gini": gini(counts),
        "head_share": float(curve[round(HEAD * N_CURVE)]),
        "few_share": float((counts < FEW).mean()),
        "distribution": {
            "edges": doubling.tolist(),
            "counts": np.bincount(_log2(counts), minlength=len(doubling) - 1).tolist(),
        },
        "lorenz": np.round(curve, 6).tolist(),
    }


def _log2(counts: IntArray) -> IntArray:
    """The whole part of the binary logarithm, exact."""
    return np.frexp(counts.astype(np.float64))[1].astype(np.int64) - 1


def _time(timestamp: IntArray) -> dict[str, Any]:
    first, last = int(timestamp.min()), int(timestamp.max())
    days = (last - first) / SECONDS_PER_DAY
    edges = np.linspace(first, max(last, first + 1), N_PERIODS + 1)
    return {
        "first": iso(first),
        "last": iso(last),
        "days": days,
        "per_day": len(timestamp) / max(days, 1.0),
        "distribution": _binned(timestamp, edges),
    }


def _binned(values: AnyArray, edges: FloatArray) -> dict[str, Any]:
    """Counts in bins of one width."""
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    place = ((values - edges[0]) / width).astype(np.int64).clip(0, len(edges) - 2)
    return {
        "edges": edges.tolist(),
        "counts": np.bincount(place, minlength=len(edges) - 1).tolist(),
    }


def iso(seconds: Any) -> str:
    """Return seconds since 1970 as `1997-09-20 03:05:10` (UTC)."""
    return str(np.datetime64(int(seconds), "s")).replace("T", " ")


def _column(texts: tuple[str, ...]) -> dict[str, Any]:
    known = [text for text in texts if text]
    return {"known": len(known) / len(texts), "distinct": len(set(known))}
