"""Users, or items, that training has never seen."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from recexp.arrays import BoolArray, IdxArray
from recexp.data.dataset import Dataset
from recexp.splits.base import (
    Split,
    divide,
    require,
    require_choice,
    require_fraction,
    share,
    timestamps,
)
from recexp.splits.ordering import cutoff, earliest, iso

Choose = Literal["random", "time"]


def cold_user(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    test_fraction: float = 0.2,
    n_history: int = 0,
    choose: Choose = "random",
) -> Split:
    """A fraction of the users is tested whom training has never seen.

        user a  o o o o o            choose=time     cutoff
        user b  x x x                user a   o o o o | . .
        user c  o o o o o o          user b           | x x x
        user d  h h x x n_history=2  user c   o o o   |
                                     ------------------------> time
        o training   x test   h history, given at test time   . dropped

    Args:
        test_fraction: share of the users that are tested.
        n_history: interactions of each test user that are given at test time (fold-in): the
            earliest, or random ones without timestamps; 0 is pure cold start. A test user with no
            more than these has nothing left to test.
        choose: `random` users, or in `time`: those who appear last. Then training is strictly
            before the first second of the first of them, and what others do later is dropped.
            Users who appear in one second stay together; the share is the nearest this allows.

    Raises ConfigError for options out of range, DataError without timestamps where they are
    needed or for an empty side.
    """
    require(n_history >= 0, "n_history", n_history, "an integer >= 0")
    whole = dataset.interactions
    cold = _choose(dataset, whole.user_idx, "cold_user", test_fraction, choose, rng)
    test = cold.rows
    history = None
    if n_history:
        rows = np.flatnonzero(test)
        time = rng.permutation(len(rows)) if whole.timestamp is None else whole.timestamp[rows]
        counts = np.full(whole.n_users, n_history)
        given = rows[earliest(whole.user_idx[rows], time, counts, rng)]
        history = np.zeros_like(test)
        history[given] = True
        test = test & ~history
    facts: dict[str, Any] = {**cold.facts, "n_cold_users": cold.n_chosen}
    if n_history:
        n_tested = int(np.count_nonzero(np.bincount(whole.user_idx[test])))
        facts["n_users_without_test"] = cold.n_chosen - n_tested
    return divide(
        dataset,
        "cold_user",
        test,
        train=cold.train,
        history=history,
        advice="change split.test_fraction or lower split.n_history",
        facts=facts,
    )


def cold_item(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    test_fraction: float = 0.2,
    choose: Choose = "random",
) -> Split:
    """A fraction of the items is tested that training has never seen.

                item 1  2  3  4  5      choose=time   cutoff
        user a       o  x  o  o         item 1  o o o o | . .
        user b          x     o  o      item 2          | x x x
        user c       o        o         item 3    o o   |
                                        ------------------------> time
        o training   x test   . dropped

    Only algorithms that know items by their features can tell such items apart.

    Args:
        test_fraction: share of the items that are tested.
        choose: `random` items, or in `time`: those that appear last. Then training is strictly
            before the first second of the first of them, and what others get later is dropped.
            Items that appear in one second stay together; the share is the nearest this allows.

    Raises ConfigError for options out of range, DataError without timestamps where they are
    needed or for an empty side.
    """
    item_idx = dataset.interactions.item_idx
    cold = _choose(dataset, item_idx, "cold_item", test_fraction, choose, rng)
    return divide(
        dataset,
        "cold_item",
        cold.rows,
        train=cold.train,
        advice="change split.test_fraction",
        facts={**cold.facts, "n_cold_items": cold.n_chosen},
    )


class _Cold(NamedTuple):
    rows: BoolArray
    train: BoolArray
    n_chosen: int
    facts: dict[str, Any]


def _choose(
    dataset: Dataset,
    idx: IdxArray,
    protocol: str,
    test_fraction: float,
    choose: Choose,
    rng: np.random.Generator,
) -> _Cold:
    """Choose a share of the users (or items) in `idx`, the column of each row's user (or item)."""
    require_fraction(test_fraction)
    require_choice("choose", choose, get_args(Choose))
    occurring = np.flatnonzero(np.bincount(idx))
    n_chosen = share(test_fraction, len(occurring))
    chosen = np.zeros(int(idx.max()) + 1, np.bool_)
    if choose == "random":
        picked = np.arange(len(occurring)) < n_chosen
        rng.shuffle(picked)
        chosen[occurring] = picked
        rows = chosen[idx]
        return _Cold(rows, ~rows, n_chosen, {})
    time = timestamps(dataset, protocol, f"{protocol} with split.choose=random")
    first = np.full(len(chosen), np.iinfo(np.int64).max)
    np.minimum.at(first, idx, time)
    cut = cutoff(first[occurring], len(occurring) - n_chosen)
    chosen[occurring] = first[occurring] >= cut
    facts = {"cutoff": iso(cut), "cutoff_seconds": cut}
    return _Cold(chosen[idx], time < cut, int(np.count_nonzero(chosen)), facts)
