"""What a split gives away, measured: leaks, cold starts, and how far the sides differ."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from recexp.arrays import AnyArray, BoolArray, IntArray
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError, did_you_mean
from recexp.splits.base import Split
from recexp.splits.feature_leaks import leaked_features

Mode = Literal["report", "warn", "fail"]

THRESHOLDS: Mapping[str, float] = {
    "users_with_future_training_share": 0.0,
    "future_training_share": 0.0,
    "users_with_future_history_share": 0.0,
    "duplicate_pairs": 0.0,
    "leaked_feature_columns": 0.0,
}
"""The largest value of each leak that passes, unless the caller says otherwise."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Audit:
    """The measured facts of a split, plain JSON values by name; None where time is missing."""

    facts: Mapping[str, Any]

    def metrics(self) -> dict[str, float]:
        """Return the facts that are numbers."""
        return {
            name: float(fact)
            for name, fact in self.facts.items()
            if isinstance(fact, int | float) and not isinstance(fact, bool)
        }


def audit(split: Split, *, relevance_threshold: float | None = None) -> Audit:
    """Return the audit of a split.

    Sizes: `n_train, n_test, n_history, n_dropped`, `n_train_users, n_test_users, n_train_items,
    n_test_items` (those that occur).

    Cold start: `cold_users`, `cold_items` of the test without a training interaction, and the
    share of test interactions that are theirs (`cold_user_interaction_share`, ...).

    Leaks in time (a missing clock makes them None):
        `users_with_future_training_share`: test users with a training interaction later than one
        of their test interactions, of all test users; `users_with_future_history_share`: the same
        of the history given at test time.
        `future_training_share`: training interactions later than the earliest test interaction.
        `items_first_seen_after_cutoff`: test items without a training interaction before the
        earliest test interaction, and `..._interaction_share`, the share of test interactions.

    Leaks by content: `duplicate_pairs`, the distinct (user, item) pairs on both sides (`..._share`:
    of test interactions), and `leaked_features` (see `leaked_features`), counted in
    `leaked_feature_columns`.

    What is measurable: `users_without_relevant_test_items`, test users with no test value from
    `relevance_threshold` (default: the dataset's) on.

    Shift between the sides: `rating_shift` and `popularity_shift`, the Kolmogorov-Smirnov distance
    (0 the same, 1 disjoint) of the values, and of how many interactions of both sides together
    the interactions' items have; `mean_train_value`, `mean_test_value`.
    """
    train, test = split.train.interactions, split.test
    user_counts = [train.user_counts(), test.user_counts()]
    item_counts = [train.item_counts(), test.item_counts()]
    test_users = user_counts[1] > 0
    threshold = relevance_threshold
    if threshold is None:
        threshold = split.train.relevance_threshold
    leaked = leaked_features(split)
    facts: dict[str, Any] = {
        "n_train": len(train),
        "n_test": len(test),
        "n_history": 0 if split.history is None else len(split.history),
        "n_dropped": int(split.facts.get("n_dropped", 0)),
        "n_train_users": int(np.count_nonzero(user_counts[0])),
        "n_test_users": int(np.count_nonzero(test_users)),
        "n_train_items": int(np.count_nonzero(item_counts[0])),
        "n_test_items": int(np.count_nonzero(item_counts[1])),
        **_cold("user", *user_counts),
        **_cold("item", *item_counts),
        **_duplicates(train, test),
        **_time_leaks(split, test_users, item_counts[1]),
        "leaked_feature_columns": len(leaked),
        "leaked_features": leaked,
        "users_without_relevant_test_items": _without_relevant(test, test_users, threshold),
        **_shifts(train, test, *item_counts),
        "protocol": dict(split.facts),
    }
    return Audit(facts)


def check(
    audit: Audit, mode: Mode = "report", thresholds: Mapping[str, float] | None = None
) -> list[str]:
    """Return one line for each fact above its threshold; log them, or fail on them.

    `thresholds` replace or add to `THRESHOLDS`, by the name of a fact. `warn` logs the lines as
    warnings. `fail` raises DataError with the first. Raises ConfigError for an unknown mode or
    fact.
    """
    if mode not in get_args(Mode):
        raise ConfigError(f"leakage={mode}{did_you_mean(mode, get_args(Mode))}")
    metrics = audit.metrics()
    limits = {**THRESHOLDS, **(thresholds or {})}
    for name in limits:
        if name not in audit.facts or isinstance(audit.facts[name], list | dict):
            raise ConfigError(
                f"the split audit has no number '{name}'{did_you_mean(name, metrics)}"
            )
    protocol = audit.facts["protocol"].get("protocol", "?")
    exceeded = [
        f"the audit of split={protocol} found {name}={metrics[name]:.6g}, above its threshold "
        f"{limit:.6g}"
        for name, limit in limits.items()
        if metrics.get(name, 0.0) > limit
    ]
    if exceeded and mode == "fail":
        raise DataError(f"{exceeded[0]}: use another split, raise the threshold or leakage=report")
    for line in exceeded if mode == "warn" else ():
        _log.warning(line)
    return exceeded


def _cold(side: str, train_counts: IntArray, test_counts: IntArray) -> dict[str, Any]:
    cold = test_counts[train_counts == 0]
    return {
        f"cold_{side}s": int(np.count_nonzero(cold)),
        f"cold_{side}_interaction_share": float(cold.sum() / test_counts.sum()),
    }


def _duplicates(train: Interactions, test: Interactions) -> dict[str, Any]:
    trained, tested = _pairs(train), _pairs(test)
    place = np.searchsorted(trained, tested).clip(max=len(trained) - 1)
    twice = tested[trained[place] == tested]
    return {
        "duplicate_pairs": int(np.count_nonzero(np.diff(twice, prepend=-1))),
        "duplicate_pair_interaction_share": len(twice) / len(test),
    }


def _pairs(side: Interactions) -> IntArray:
    pairs = side.user_idx.astype(np.int64)
    pairs *= side.n_items
    pairs += side.item_idx
    pairs.sort(kind="stable")  # which costs next to nothing on the canonical order
    return pairs


def _time_leaks(split: Split, test_users: BoolArray, test_item_counts: IntArray) -> dict[str, Any]:
    train, test = split.train.interactions, split.test
    if train.timestamp is None or test.timestamp is None:
        return dict.fromkeys(
            (
                "users_with_future_training_share",
                "users_with_future_history_share",
                "future_training_share",
                "items_first_seen_after_cutoff",
                "items_first_seen_after_cutoff_interaction_share",
            )
        )
    cutoff = test.timestamp.min()
    first_test = np.full(test.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first_test, test.user_idx, test.timestamp)

    def users_known_later(past: Interactions | None) -> float:
        if past is None or past.timestamp is None:
            return 0.0
        last_known = np.full(test.n_users, np.iinfo(np.int64).min)
        np.maximum.at(last_known, past.user_idx, past.timestamp)
        later = test_users & (last_known > first_test)
        return float(np.count_nonzero(later) / np.count_nonzero(test_users))

    earlier_items = np.zeros(test.n_items, np.bool_)
    earlier_items[train.item_idx[train.timestamp < cutoff]] = True
    new = test_item_counts[~earlier_items]
    return {
        "users_with_future_training_share": users_known_later(train),
        "users_with_future_history_share": users_known_later(split.history),
        "future_training_share": float(np.count_nonzero(train.timestamp > cutoff) / len(train)),
        "items_first_seen_after_cutoff": int(np.count_nonzero(new)),
        "items_first_seen_after_cutoff_interaction_share": float(new.sum() / len(test)),
    }


def _without_relevant(test: Interactions, test_users: BoolArray, threshold: float | None) -> int:
    if threshold is None:
        return 0
    relevant = np.zeros(test.n_users, np.bool_)
    relevant[test.user_idx[test.value >= np.float32(threshold)]] = True
    return int(np.count_nonzero(test_users & ~relevant))


def _shifts(
    train: Interactions, test: Interactions, train_items: IntArray, test_items: IntArray
) -> dict[str, float]:
    values = [np.unique(side.value, return_counts=True) for side in (train, test)]
    (train_values, train_counts), (test_values, test_counts) = values
    return {
        "rating_shift": _distance(
            np.concatenate([train_values, test_values]),
            np.concatenate([train_counts, np.zeros_like(test_counts)]),
            np.concatenate([np.zeros_like(train_counts), test_counts]),
        ),
        "popularity_shift": _distance(train_items + test_items, train_items, test_items),
        "mean_train_value": float(train.value.mean(dtype=np.float64)),
        "mean_test_value": float(test.value.mean(dtype=np.float64)),
    }


def _distance(points: AnyArray, one: IntArray, other: IntArray) -> float:
    """Kolmogorov-Smirnov distance of two distributions given as counts at common points."""
    distinct, place = np.unique(points, return_inverse=True)
    cumulated = [
        np.cumsum(np.bincount(place, weights=counts, minlength=len(distinct))) / counts.sum()
        for counts in (one, other)
    ]
    return float(np.abs(cumulated[0] - cumulated[1]).max())
