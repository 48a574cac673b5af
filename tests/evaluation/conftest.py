"""Small hand-made splits and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.evaluation.topk import TopK
from recexp.splits.base import Split

Rows = Sequence[tuple[int, int, float]]


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Split]:
    """Return `make(train, test, n_users, n_items)` over rows of (user, item, value)."""

    def interactions(rows: Rows, n_users: int, n_items: int) -> Interactions:
        table = np.array(rows, float).reshape(-1, 3)
        return Interactions(table[:, 0], table[:, 1], table[:, 2], None, n_users, n_items)

    def make(
        train: Rows,
        test: Rows,
        n_users: int,
        n_items: int,
        *,
        scale: tuple[float, float] | None = (1.0, 5.0),
        threshold: float | None = 4.0,
        item_features: Features | None = None,
        history: Rows | None = None,
    ) -> Split:
        dataset = Dataset(
            "toy",
            interactions(train, n_users, n_items),
            IdMap(range(n_users)),
            IdMap(range(n_items)),
            scale,
            threshold if scale else None,
            item_features=item_features,
        )
        return Split(
            dataset,
            interactions(test, n_users, n_items),
            None if history is None else interactions(history, n_users, n_items),
        )

    return make


@pytest.fixture(scope="session")
def make_lists() -> Callable[[Mapping[int, Sequence[int]], int], TopK]:
    """Return `make({user: items, best first}, k)`."""

    def make(lists: Mapping[int, Sequence[int]], k: int) -> TopK:
        made = TopK.empty(np.array(sorted(lists), np.int32), k)
        for row, user in enumerate(sorted(lists)):
            items = list(lists[user])[:k]
            made.items[row, : len(items)] = items
        return made

    return make
