"""From a dataset to Surprise's training set, and from Surprise's errors to ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recexp.algorithms.surprise.neighborhoods import grouped
from recexp.arrays import AnyArray, IdxArray, IntArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import DataError
from recexp.progress import progress

RATINGS = frozenset({"ratings"})
"""What every algorithm of Surprise needs."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained Surprise algorithm with the idx behind its inner ids.

    Surprise numbers users and items by their first appearance in the data, and knows only those
    that appear. One of its units of rating is `step` of ours.
    """

    model: Any
    users: IdxArray
    items: IdxArray
    step: float

    @property
    def mean(self) -> float:
        """The mean of all training ratings, Surprise's prediction where all else fails."""
        return self.step * float(self.model.trainset.global_mean)


def train_with_surprise(model: Any, train: Dataset, whole_ratings: bool = False) -> Trained:
    """Return `model` fitted on all interactions of `train`; raw ids are our idx.

    The training set is the one that Surprise itself builds from the same rows, so that the same
    seed gives the same model. `whole_ratings` is for models that would cut fractions off: they
    see the ratings in units of their step. Raises DataError where Surprise divides by zero.
    """
    from surprise import Trainset

    rows = train.interactions
    step = _step(rows.value) if whole_ratings else 1.0
    values = np.rint(rows.value / step) if whole_ratings else rows.value
    users, inner_users = _by_first_appearance(rows.user_idx, train.n_users)
    items, inner_items = _by_first_appearance(rows.item_idx, train.n_items)

    class LazyTrainset(Trainset):  # type: ignore[misc]
        @cached_property
        def ir(self) -> dict[int, Any]:
            """The ratings of each item, listed when asked for, which the larger models never do."""
            return _ratings_of(inner_items, inner_users, values)

    trainset = LazyTrainset(
        _ratings_of(inner_users, inner_items, values),
        None,
        len(users),
        len(items),
        len(rows),
        train.scale,
        {raw: inner for inner, raw in enumerate(users.tolist())},
        {raw: inner for inner, raw in enumerate(items.tolist())},
    )
    del trainset.ir  # the constructor's, which would hide the property
    # As Surprise itself computes it, from a list it first makes of all ratings.
    trainset._global_mean = np.mean(values[grouped(inner_users)], dtype=np.float64)
    with _no_division_by_zero(model), _epochs_shown(model):
        return Trained(model.fit(trainset), users, items, step)


def spread(values: AnyArray, idx: IdxArray, size: int, fill: float = 0.0) -> AnyArray:
    """Return float64 (size, ...) with `values` at `idx` and `fill` elsewhere."""
    full = np.full((size, *np.shape(values)[1:]), fill)
    full[idx] = values
    return full


def rating_counts(train: Dataset) -> Sparse:
    """Return how often each user rated each item, float64 csr: Surprise counts repeated pairs."""
    from scipy.sparse import csr_array

    rows = train.interactions
    shape = (train.n_users, train.n_items)
    return csr_array((np.ones(len(rows)), (rows.user_idx, rows.item_idx)), shape=shape)


def _step(ratings: AnyArray) -> float:
    """The largest of 1, 0.5, 0.1 and 0.01 that all ratings are multiples of."""
    for per_unit in (1, 2, 10, 100):
        scaled = ratings.astype(np.float64) * per_unit
        if np.allclose(scaled, np.rint(scaled), rtol=0, atol=1e-4 * per_unit):
            return 1 / per_unit
    raise DataError(
        "Surprise's SlopeOne and CoClustering cut ratings to whole numbers, and these are not "
        "multiples of 0.01: round them first, or use another algorithm"
    )


def _by_first_appearance(idx: IdxArray, size: int) -> tuple[IdxArray, IntArray]:
    """The distinct idx in the order they appear, and the position in it of each of `idx`."""
    first = np.full(size, len(idx))
    first[idx[::-1]] = np.arange(len(idx))[::-1]  # of several, the last assigned stays
    n_distinct = np.count_nonzero(first < len(idx))
    distinct = np.argsort(first)[:n_distinct].astype(np.int32)
    inner = np.empty(size, np.int64)
    inner[distinct] = np.arange(n_distinct)
    return distinct, inner[idx]


def _ratings_of(owners: IntArray, others: IntArray, values: AnyArray) -> dict[int, Any]:
    """The (other, rating) pairs of each owner, in the order of the rows."""
    order = grouped(owners)
    pairs = list(zip(others[order].tolist(), values[order].tolist(), strict=True))
    ends = np.cumsum(np.bincount(owners)).tolist()
    return {owner: pairs[a:b] for owner, (a, b) in enumerate(zip([0, *ends], ends, strict=False))}


@contextmanager
def _epochs_shown(model: Any) -> Iterator[None]:
    """Show the epochs of a model as progress, by what it prints of them.

    The printing does more: Surprise trains in one call of compiled code, which lets Python look
    at signals (Ctrl-C, SIGTERM) only where it calls Python.
    """
    if not hasattr(model, "n_epochs"):
        yield
        return
    model.verbose = True
    with redirect_stdout(_Ticks(model.n_epochs)):
        yield


class _Ticks(io.TextIOBase):
    """A text stream that advances a progress bar by each line about an epoch."""

    def __init__(self, n_epochs: int) -> None:
        self._epochs = iter(progress(range(n_epochs), "fit", n_epochs))

    def write(self, text: str) -> int:
        if text.startswith("Processing epoch"):
            next(self._epochs, None)
        return len(text)


@contextmanager
def _no_division_by_zero(model: Any) -> Iterator[None]:
    try:
        yield
    except ZeroDivisionError:
        raise DataError(
            f"Surprise's {type(model).__name__} divides by zero on these ratings, as it does for "
            "a user or item whose ratings are all 0 (cosine, NMF) or all as expected "
            "(pearson_baseline): shift the ratings above 0, or choose another similarity"
        ) from None
