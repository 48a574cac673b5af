"""A dataset from outside: any function that returns a `Dataset`."""

from __future__ import annotations

import numpy as np

from recexp.data.dataset import Dataset


def load_visits(n_users: int = 60, n_days: int = 40) -> Dataset:
    """Return visits of pages, one a day; every user keeps to the odd or to the even pages."""
    user, day = (axis.ravel() for axis in np.indices((n_users, n_days)))
    page = 2 * ((user * 7 + day * 3 + day * day) % 20) + user % 2
    return Dataset.from_columns("visits", user, page, timestamps=day * 86_400)
