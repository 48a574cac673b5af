"""Each user's last interactions tested against his earlier ones."""

from __future__ import annotations

import numpy as np

from recexp.arrays import IntArray
from recexp.data.dataset import Dataset
from recexp.splits.base import Split, divide, require, require_fraction, timestamps
from recexp.splits.ordering import earliest


def temporal_user(
    dataset: Dataset, rng: np.random.Generator, *, test_fraction: float = 0.2
) -> Split:
    """Each user's last fraction is tested.

        user a  o o o o o o o o x x
        user b      o o o o x            o training   x test
        user c                o          too short to give one
        ---------------------------> time

    A user of m interactions gives round(test_fraction * m), half up, and keeps at least one.
    Interactions of one second at the boundary are drawn at random. Other users' training may be
    later than a user's test: the audit counts it as `future_training_share`.

    Raises ConfigError for options out of range, DataError without timestamps or for an empty side.
    """
    require_fraction(test_fraction)
    sizes = dataset.interactions.user_counts()
    counts = np.floor(test_fraction * sizes + 0.5).astype(np.int64)
    counts = np.minimum(counts, np.maximum(sizes - 1, 0))
    return _last(
        dataset, "temporal_user", counts, "raise split.test_fraction or use split=temporal", rng
    )


def last_n(dataset: Dataset, rng: np.random.Generator, *, n: int = 1, min_train: int = 1) -> Split:
    """Each user's last n interactions are tested (n=1: leave one out).

        user a  o o o o o o o o o x      n=1
        user b      o o o o x            o training   x test
        user c                o          fewer than n + min_train: trained on whole
        ---------------------------> time

    Interactions of one second at the boundary are drawn at random. Other users' training may be
    later than a user's test: the audit counts it as `future_training_share`.

    Args:
        n: number of test interactions a user.
        min_train: training interactions that a tested user must keep; 0 lets users turn cold.

    Raises ConfigError for options out of range, DataError without timestamps or for an empty side.
    """
    require(n >= 1, "n", n, "an integer >= 1")
    require(min_train >= 0, "min_train", min_train, "an integer >= 0")
    sizes = dataset.interactions.user_counts()
    counts = np.where(sizes >= n + min_train, n, 0)
    return _last(dataset, "last_n", counts, "lower split.n or split.min_train", rng)


def _last(
    dataset: Dataset, protocol: str, counts: IntArray, advice: str, rng: np.random.Generator
) -> Split:
    """Test the last `counts` interactions of each user."""
    whole = dataset.interactions
    time = timestamps(dataset, protocol)
    test = ~earliest(whole.user_idx, time, whole.user_counts() - counts, rng)
    n_without = int(np.count_nonzero((counts == 0) & (whole.user_counts() > 0)))
    facts = {"n_users_without_test": n_without}
    return divide(dataset, protocol, test, advice=advice, facts=facts)
