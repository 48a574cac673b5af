"""Interactions dealt at random, time disregarded."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from recexp.data.dataset import Dataset
from recexp.splits.base import Split, divide, require, require_choice, require_fraction, share
from recexp.splits.ordering import earliest

Within = Literal["all", "user"]


def random(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    test_fraction: float = 0.2,
    within: Within = "all",
) -> Split:
    """A random fraction of the interactions is tested.

        user a  o x o o o o x o o o
        user b      x o o o o            o training   x test
        user c                o
        ---------------------------> time

    Training knows the future of the test, so results are better than any that could be had in
    use; the audit says by how much the sides overlap in time.

    Args:
        test_fraction: share of the interactions that are tested.
        within: `all`: the share of all interactions together. `user`: the share of each user's,
            rounded half up, at least one of which stays in training.

    Raises ConfigError for options out of range, DataError for an empty side.
    """
    require_fraction(test_fraction)
    require_choice("within", within, get_args(Within))
    whole = dataset.interactions
    if within == "user":
        sizes = whole.user_counts()
        counts = np.floor(test_fraction * sizes + 0.5).astype(np.int64)
        counts = np.minimum(counts, np.maximum(sizes - 1, 0))
        test = earliest(whole.user_idx, rng.permutation(len(whole)), counts, rng)
    else:
        test = np.zeros(len(whole), np.bool_)
        test[: share(test_fraction, len(whole))] = True
        rng.shuffle(test)
    return divide(dataset, "random", test, advice="raise split.test_fraction or add data")


def k_fold(dataset: Dataset, rng: np.random.Generator, *, n_folds: int = 5, fold: int = 0) -> Split:
    """One of k random folds is tested, the others train (cross-validation).

        fold=0   x o o o o      each letter one fifth of the interactions, dealt at random
        fold=1   o x o o o
        fold=2   o o x o o      o training   x test
        ...

    With one seed the folds of all `fold` are disjoint and together everything; their sizes differ
    by at most one. `-m split.fold=0,1,2,3,4` runs them all.

    Raises ConfigError for options out of range, DataError for an empty side.
    """
    require(2 <= n_folds <= 1000, "n_folds", n_folds, "an integer from 2 to 1000")
    require(0 <= fold < n_folds, "fold", fold, f"0 to {n_folds - 1} (split.n_folds-1)")
    n = len(dataset.interactions)
    folds = np.tile(np.arange(n_folds, dtype=np.int16), n // n_folds + 1)[:n]
    rng.shuffle(folds)
    facts = {"fold": fold, "n_folds": n_folds}
    return divide(dataset, "k_fold", folds == fold, advice="lower split.n_folds", facts=facts)
