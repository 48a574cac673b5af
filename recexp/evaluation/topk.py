"""The best items of every user: exact, seen items left out, ties broken by a seeded order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from recexp.algorithms.base import FactorModel
from recexp.arrays import BoolArray, Float32Array, IdxArray, IntArray, Sparse
from recexp.errors import ConfigError, DataError
from recexp.evaluation.kernel import compiled_collect
from recexp.evaluation.selection import Collect, Selection, collect, priorities, selection_bytes
from recexp.progress import progress


class Scores(Protocol):
    """Anything that scores users, such as a recommender."""

    def score(self, users: IdxArray) -> Float32Array:
        """Return scores, float32 (len(users), n_items); may be called by several threads."""
        ...


@dataclass(frozen=True, eq=False)
class TopK:
    """The k best candidates of each user, best first.

    Attributes:
        users: int32 (n,), ascending.
        items: int32 (n, k); -1 where fewer than k candidates have a score.
        scores: float32 (n, k); -inf where `items` is -1.
        tied_boundary: bool (n,): the k-th score is shared by a candidate that was left out.
    """

    users: IdxArray
    items: IdxArray
    scores: Float32Array
    tied_boundary: BoolArray

    @classmethod
    def empty(cls, users: IdxArray, k: int) -> TopK:
        """Return lists of `users` without any item, to be filled in."""
        shape = (len(users), k)
        return cls(
            users,
            np.full(shape, -1, np.int32),
            np.full(shape, -np.inf, np.float32),
            np.zeros(len(users), np.bool_),
        )


def tie_order(n_items: int, rng: np.random.Generator) -> IdxArray:
    """Return the rank of each item, int32 (n_items,), in a pseudo-random order of the items.

    Of two items with equal scores the one of lower rank comes first (METRICS: ties), so that an
    idx, which correlates with popularity in real data, decides nothing.
    """
    return rng.permutation(n_items).astype(np.int32)


def top_k(
    model: Scores | FactorModel,
    users: IdxArray,
    k: int,
    *,
    seen: Sparse | None,
    candidates: BoolArray | None,
    tie_rank: IdxArray,
    threads: int,
    memory_mb: int,
) -> TopK:
    """Return the k best items of each of `users`, the same whatever `threads` and `memory_mb`.

    Args:
        model: a recommender, or anything with its `score`; one with `factors()` is multiplied in
            tiles and never asked for its dense scores.
        users: int32 (n,), ascending.
        seen: csr (n_users, n_items) of what is left out of each user's list; None leaves all in.
        candidates: bool (n_items,), the items that may be listed; None allows all.
        tie_rank: int32 (n_items,), from `tie_order`.
        threads: how many blocks of users are worked on at once.
        memory_mb: a budget for the blocks in flight; at least one is.

    Items scored -inf never come back. Raises ConfigError when k is not in 1..n_items, DataError
    when a score is NaN or +inf.
    """
    n_items = len(tie_rank)
    if not 1 <= k <= n_items:
        raise ConfigError(
            f"lists of k={k} items from a catalogue of {n_items}: expected a cutoff in "
            f"1..{n_items}; change cutoffs"
        )
    tiled = isinstance(model, FactorModel)
    source = _tiles(model, n_items) if isinstance(model, FactorModel) else _dense(model, n_items)
    indptr, indices = _rows(seen, users)
    priority = priorities(tie_rank, candidates)
    item_at = np.argsort(tie_rank).astype(np.int32)
    chosen = _collect_for(len(users) * n_items)
    lists = TopK.empty(users, k)

    def fill(start: int) -> None:
        rows = slice(start, start + source.n_rows)
        block = users[rows]
        selection = Selection(k, indptr[block], indptr[block + 1], indices, priority, chosen)
        for first, scores in source.pieces(block):
            if not selection.add(scores, first):
                raise DataError(
                    f"{_name(model)} gave a score that is NaN or infinite; expected finite scores "
                    "(or -inf for never): look at its hyperparameters and its data"
                )
        lists.items[rows], lists.scores[rows], lists.tied_boundary[rows] = selection.best(item_at)

    n_bytes = source.n_bytes + selection_bytes(source.n_rows, k, n_items)
    in_flight = max(1, min(threads, memory_mb * 2**20 // n_bytes))
    starts = range(0, len(users), source.n_rows)
    with _one_blas_thread(of_numpy_alone=tiled), ThreadPoolExecutor(in_flight) as workers:
        for _ in progress(workers.map(fill, starts), "recommend", total=len(starts)):
            pass
    return lists


def best_of(scores: Float32Array, k: int, tie_rank: IdxArray) -> tuple[IdxArray, Float32Array]:
    """Return the k best items of one row of scores, best first, and their scores, as `top_k` does.

    `scores` is float32 (n,), -inf at what may not be listed; `tie_rank` as in `tie_order`. There
    are fewer than k where fewer have a score. Raises DataError for NaN or +inf.
    """
    if not scores.max(initial=-np.inf) < np.inf:
        raise DataError("a score is NaN or infinite; expected finite scores (or -inf for never)")
    found = np.flatnonzero((scores >= _at_most_kth(scores, k)) & (scores > -np.inf))
    found = found[np.lexsort((tie_rank[found], -scores[found]))][:k]
    return found.astype(np.int32), scores[found]


def _at_most_kth(scores: Float32Array, k: int) -> np.float32:
    """Return a score that k items reach, and few others."""
    width = len(scores) // (16 * k)
    if width > 1:
        # The k best blocks have k items as good as the worst of their maxima, which are fast.
        scores = scores[: len(scores) // width * width].reshape(-1, width).max(axis=1)
    least: np.float32 = np.partition(scores, len(scores) - k)[len(scores) - k]
    return least


USER_TILE, ITEM_TILE = 512, 256
"""The one shape of product, because a BLAS may give other last bits for other shapes: 512 KB,
which stay in a core's own cache until they have been looked at."""

DENSE_BLOCK = 2**22
"""Scores asked of a recommender at once. Not derived from `memory_mb`: its own products could
give other last bits for other numbers of users."""

DENSE_BYTES = 16
"""What a recommender may take for each score: the score and three temporaries of its size."""

COMPILED_FROM = 3 * 10**8
"""Scores from which the second or two that numba takes to load are won back."""


@dataclass(frozen=True)
class _Pieces:
    """Where scores come from: `n_rows` users at a time, which take about `n_bytes`.

    `pieces` yields (first item, scores of the users for the items from there on).
    """

    n_rows: int
    n_bytes: int
    pieces: Callable[[IdxArray], Iterator[tuple[int, Float32Array]]]


def _tiles(model: FactorModel, n_items: int) -> _Pieces:
    user_factors, item_factors = model.factors()
    d = item_factors.shape[1]
    if item_factors.shape[0] != n_items or user_factors.shape[1] != d:
        raise DataError(
            f"{_name(model)}.factors() have shapes {user_factors.shape} and {item_factors.shape}; "
            f"expected (n_users, d) and ({n_items}, d)"
        )
    n_tiles = -(-n_items // ITEM_TILE)
    padded = np.zeros((n_tiles * ITEM_TILE, d), np.float32)
    padded[:n_items] = item_factors
    tiles = np.ascontiguousarray(padded.reshape(n_tiles, ITEM_TILE, d).transpose(0, 2, 1))

    def pieces(users: IdxArray) -> Iterator[tuple[int, Float32Array]]:
        left = np.zeros((USER_TILE, d), np.float32)
        left[: len(users)] = user_factors[users]
        product = np.empty((USER_TILE, ITEM_TILE), np.float32)
        for i, tile in enumerate(tiles):
            yield i * ITEM_TILE, np.matmul(left, tile, out=product)

    return _Pieces(USER_TILE, 4 * USER_TILE * ITEM_TILE, pieces)


def _dense(model: Scores, n_items: int) -> _Pieces:
    n_rows = max(1, DENSE_BLOCK // n_items)

    def pieces(users: IdxArray) -> Iterator[tuple[int, Float32Array]]:
        scores = np.ascontiguousarray(model.score(users), np.float32)
        if scores.shape != (len(users), n_items):
            raise DataError(
                f"{_name(model)}.score gave shape {scores.shape}; "
                f"expected ({len(users)}, {n_items})"
            )
        yield 0, scores

    return _Pieces(n_rows, DENSE_BYTES * n_rows * n_items, pieces)


def _collect_for(n_scores: int) -> Collect:
    """Return the compiled kernel where it pays, or is there already; both give the same lists."""
    if n_scores < COMPILED_FROM and not compiled_collect.cache_info().currsize:
        return collect
    try:
        return compiled_collect()
    except ImportError:  # numba lags behind new versions of Python and NumPy
        return collect


def _rows(seen: Sparse | None, users: IdxArray) -> tuple[IntArray, IdxArray]:
    """Return where each user's seen items begin (int64), and the items, ascending in each row."""
    if seen is None:
        return np.zeros(users.max(initial=0) + 2, np.int64), np.zeros(0, np.int32)
    if not seen.has_sorted_indices:
        seen = seen.sorted_indices()
    return seen.indptr.astype(np.int64), seen.indices.astype(np.int32, copy=False)


def _one_blas_thread(*, of_numpy_alone: bool) -> AbstractContextManager[Any]:
    """Return a context in which BLAS works in the thread that calls it, on every platform alike."""
    from threadpoolctl import ThreadpoolController

    controller = _blas_of_numpy() if of_numpy_alone else ThreadpoolController()
    limits: AbstractContextManager[Any] = controller.limit(limits=1, user_api="blas")
    return limits


@cache
def _blas_of_numpy() -> Any:
    """Return what controls the libraries loaded so far; finding them takes a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _name(model: object) -> str:
    """Return the algorithm's name, also when another object stands before it."""
    return type(getattr(model, "recommender", model)).__name__
