"""The groups of users and items for which metrics are reported beside the whole."""

from __future__ import annotations

import numpy as np

from recexp.arrays import BoolArray, IdxArray
from recexp.data.interactions import Interactions
from recexp.evaluation.arithmetic import percentile

HEAD_SHARE = 0.2


def user_segments(train: Interactions, users: IdxArray) -> dict[str, BoolArray]:
    """Return which of `users` are in each segment, bool (len(users),).

    warm_users and cold_users: with and without a training interaction. light_users and
    heavy_users: in the lower and the upper third of all training users by the number of their
    training interactions; users of the same number are in the same segment.
    """
    counts = train.user_counts()
    warm = counts > 0
    place = np.full(len(counts), np.nan)
    place[warm] = percentile(counts[warm])
    return {
        "warm_users": warm[users],
        "cold_users": ~warm[users],
        "light_users": place[users] < 1 / 3,
        "heavy_users": place[users] > 2 / 3,
    }


def item_segments(train: Interactions) -> dict[str, BoolArray]:
    """Return which items are in each segment, bool (n_items,).

    head_items: the most popular 20 % of the items with training interactions, by their number;
    tail_items: the rest of those; cold_items: items without any. Items of the same number are in
    the same segment.
    """
    counts = train.item_counts()
    warm = counts > 0
    head = np.zeros(len(counts), bool)
    head[warm] = percentile(counts[warm]) > 1 - HEAD_SHARE
    return {"head_items": head, "tail_items": warm & ~head, "cold_items": ~warm}
