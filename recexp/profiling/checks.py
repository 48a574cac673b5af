"""What looks wrong with the content of a dataset, however well it could be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recexp.arrays import IntArray
from recexp.data.checks import Finding
from recexp.data.dataset import Dataset
from recexp.profiling.dataset import FEW, SECONDS_PER_DAY, distinct_pairs, iso

ROBOT_SHARE = 0.05
"""A user with more of all interactions than this is worth a look."""
ROBOT_MEDIANS = 100
"""... or with this many times the median, and at least a thousand."""
SMALL_USERS = 50
"""Fewer users than this give wide intervals."""


def check_content(dataset: Dataset, now: float) -> list[Finding]:
    """Return what looks wrong with the content of `dataset`, problems first.

    `now` (seconds since 1970) is what timestamps are in the future of.
    """
    checks = (_sizes, _ids, _values, _repeated, _columns)
    found = [one for check in checks for one in check(dataset)]
    if dataset.interactions.timestamp is not None:
        found += _times(dataset, dataset.interactions.timestamp, now)
    else:
        found.append(
            Finding(
                "note",
                "there are no timestamps",
                len(dataset.interactions),
                "splits in time are not possible: set dataset.columns.timestamp, or split=random",
            )
        )
    return sorted(found, key=lambda one: one.level != "problem")


def _sizes(dataset: Dataset) -> Iterator[Finding]:
    users, items = dataset.interactions.user_counts(), dataset.interactions.item_counts()
    for counts, side, other in ((users, "user", "items"), (items, "item", "users")):
        active = counts[counts > 0]
        if len(active) == 1:
            yield Finding(
                "problem",
                f"a single {side}",
                1,
                f"nothing can be learned; is dataset.columns.{side} the right column?",
            )
        elif active.max() == 1:
            yield Finding(
                "problem",
                f"every {side} has one interaction",
                len(active),
                f"is dataset.columns.{side} a number of rows or sessions? Nothing connects {other}",
            )
    active = users[users > 0]
    few = int((active < FEW).sum())
    if few > len(active) / 2 and active.max() > 1:
        yield Finding(
            "note",
            f"{few:,} users have fewer than {FEW} interactions",
            few,
            "most are nearly cold: compare with popularity; preprocess=k_core leaves them out",
        )
    if len(active) < SMALL_USERS:
        yield Finding(
            "note", f"{len(active):,} users are few", len(active), "intervals will be wide"
        )
    robots = np.flatnonzero(users > max(1000.0, ROBOT_MEDIANS * float(np.median(active))))
    heavy = np.flatnonzero(users > max(ROBOT_SHARE * users.sum(), 1000))
    suspects = np.union1d(robots, heavy)
    if len(suspects):
        most = int(suspects[users[suspects].argmax()])
        yield Finding(
            "note",
            f"{len(suspects):,} users have very many interactions "
            f"({dataset.users.ids[most]}: {users[most]:,})",
            len(suspects),
            "robots, or accounts of many people? Leave them out of the source",
        )


def _ids(dataset: Dataset) -> Iterator[Finding]:
    for side, ids in (("user", dataset.users.ids), ("item", dataset.items.ids)):
        alike = look_alikes(ids)
        if alike:
            one, other = alike[0]
            yield Finding(
                "note",
                f"{len(alike):,} {side} ids differ from others only in case, spaces or zeros "
                f"({one!r}, {other!r})",
                len(alike),
                "they count as different; if they are not, mend the source",
            )


def look_alikes(ids: Sequence[Any]) -> list[tuple[str, str]]:
    """Return pairs of text ids that differ only in case, surrounding space or leading zeros.

    >>> look_alikes(["A1", "a1 ", "07", "7", "x"])
    [('A1', 'a1 '), ('07', '7')]
    """
    seen: dict[str, str] = {}
    pairs = []
    for id_ in ids:
        if isinstance(id_, str):
            first = seen.setdefault(id_.strip().casefold().lstrip("0"), id_)
            if first is not id_:
                pairs.append((first, id_))
    return pairs


def _values(dataset: Dataset) -> Iterator[Finding]:
    value, threshold = dataset.interactions.value, dataset.relevance_threshold
    constant = str(dataset.facts.get("scale_source", ""))
    if constant.startswith("none: "):
        yield Finding(
            "note", constant.removeprefix("none: "), len(value), "taken as data without ratings"
        )
    if not dataset.explicit or threshold is None:
        return
    n_positive = int((value >= np.float32(threshold)).sum())
    if n_positive == 0:
        yield Finding(
            "problem",
            f"no rating reaches the relevance threshold {threshold:g}",
            len(value),
            f"set relevance_threshold (the highest rating is {value.max():g})",
        )
    elif n_positive > 0.9 * len(value):
        yield Finding(
            "note",
            f"{n_positive:,} of {len(value):,} ratings reach the relevance threshold {threshold:g}",
            n_positive,
            "nearly all count as relevant: consider a higher relevance_threshold",
        )


def _repeated(dataset: Dataset) -> Iterator[Finding]:
    if "repeated_pairs" in dataset.facts:  # its reader tells
        return
    repeated = len(dataset.interactions) - distinct_pairs(dataset)
    if repeated:
        yield Finding(
            "note",
            f"{repeated:,} interactions repeat a pair of user and item",
            repeated,
            "preprocess=default keeps the last of each pair; preprocess=none keeps all",
        )


def _columns(dataset: Dataset) -> Iterator[Finding]:
    title = dataset.item_columns.get("title")
    if title is not None:
        missing = title.count("")
        same = len(title) - missing - len({one for one in title if one})
        if missing:
            yield Finding(
                "note", f"{missing:,} items have no title", missing, "they are shown by their ids"
            )
        if same:
            yield Finding(
                "note", f"{same:,} items have the title of another", same, "the same item twice?"
            )
    if dataset.item_features is None:
        made = "features=columns makes them of its columns"
        none = "cold items can only be guessed at: add a table of items with dataset.items"
        advice = made if dataset.item_columns else none
        yield Finding("note", "items have no features", dataset.n_items, advice)


def _times(dataset: Dataset, timestamp: IntArray, now: float) -> Iterator[Finding]:
    first, last = int(timestamp.min()), int(timestamp.max())
    if first == last:
        yield Finding(
            "problem",
            f"every timestamp is {iso(first)}",
            len(timestamp),
            "time says nothing: use split=random, or another dataset.columns.timestamp",
        )
        return
    future = int((timestamp > now).sum())
    if future:
        yield Finding(
            "problem",
            f"{future:,} timestamps lie in the future (the latest: {iso(last)})",
            future,
            "a wrong unit or clock? Mend the source, or cut with preprocess time_range",
        )
    if (timestamp % SECONDS_PER_DAY == 0).all():
        yield Finding(
            "note",
            "timestamps are dates without a time of day",
            len(timestamp),
            "the order within a day is not known: split=last_n is arbitrary there",
        )
    moments = dataset.interactions.user_idx.astype(np.int64) * (last - first + 1)
    moments += timestamp - first
    moments.sort()
    tied = int(np.count_nonzero(moments[1:] == moments[:-1]))
    if tied > len(timestamp) / 2:
        yield Finding(
            "note",
            f"{tied:,} interactions are at the very moment of another of the same user",
            tied,
            "written in bulk? What came first within them is not known",
        )
