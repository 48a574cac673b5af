"""Top-k lists against a full sort, on both ways of collecting candidates and of getting scores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from threadpoolctl import threadpool_info

from recexp.arrays import AnyArray, Float32Array, IdxArray, Sparse
from recexp.errors import ConfigError, DataError
from recexp.evaluation import kernel, topk
from recexp.evaluation.selection import STEP, collect
from recexp.evaluation.topk import ITEM_TILE, USER_TILE, TopK, tie_order, top_k
from recexp.rng import derive


@dataclass
class Table:
    """A recommender whose scores are given."""

    scores: Any

    def score(self, users: IdxArray) -> Float32Array:
        return self.scores[users]


@dataclass
class Factors:
    """A recommender whose scores are a product."""

    user_factors: Float32Array
    item_factors: Float32Array

    def factors(self) -> tuple[Float32Array, Float32Array]:
        return self.user_factors, self.item_factors


@pytest.fixture(params=["numpy", "compiled"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    use(request.param, monkeypatch)


def use(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = collect if way == "numpy" else kernel.compiled_collect()
    monkeypatch.setattr(topk, "_collect_for", lambda n_scores: chosen)


def lists_of(
    model: Any,
    n_users: int,
    n_items: int,
    k: int,
    *,
    seen: Sparse | None = None,
    candidates: AnyArray | None = None,
    tie_rank: IdxArray | None = None,
    threads: int = 2,
    memory_mb: int = 512,
) -> TopK:
    return top_k(
        model,
        np.arange(n_users, dtype=np.int32),
        k,
        seen=seen,
        candidates=candidates,
        tie_rank=tie_order(n_items, derive(1, "ties")) if tie_rank is None else tie_rank,
        threads=threads,
        memory_mb=memory_mb,
    )


def sorted_lists(
    scores: AnyArray, k: int, seen: AnyArray, candidates: AnyArray, tie_rank: IdxArray
) -> tuple[list[list[int]], list[bool]]:
    """The items and the tied boundary of each user, by sorting his candidates in Python."""
    items, tied = [], []
    for row, left_out in zip(scores.tolist(), seen.tolist(), strict=True):
        allowed = [
            item
            for item, score in enumerate(row)
            if candidates[item] and not left_out[item] and score > -np.inf
        ]
        ranked = sorted(allowed, key=lambda item: (-row[item], tie_rank[item]))
        items.append(ranked[:k] + [-1] * (k - len(ranked)))
        tied.append(len(ranked) > k and row[ranked[k]] == row[ranked[k - 1]])
    return items, tied


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n_levels", [2, 30, 10**6])
@pytest.mark.parametrize("k", [1, 7, STEP + 50, 2 * STEP + 9])
def test_lists_are_those_of_a_full_sort(k: int, n_levels: int) -> None:
    rng = derive(0, "full sort")
    n_users, n_items = 40, 2 * STEP + 9
    scores = rng.integers(-n_levels, n_levels, (n_users, n_items)).astype(np.float32) / 8
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    seen = rng.random(scores.shape) < rng.random((n_users, 1))
    seen[3] = True
    candidates = rng.random(n_items) < 0.9
    tie_rank = tie_order(n_items, rng)

    found = lists_of(
        Table(scores),
        n_users,
        n_items,
        k,
        seen=csr_array(seen),
        candidates=candidates,
        tie_rank=tie_rank,
    )

    items, tied = sorted_lists(scores, k, seen, candidates, tie_rank)
    assert found.items.tolist() == items
    assert found.tied_boundary.tolist() == tied
    there = found.items >= 0
    assert not there[3].any()
    by_item = np.take_along_axis(scores, np.maximum(found.items, 0), 1)
    assert np.array_equal(found.scores[there], by_item[there])
    assert (found.scores[~there] == -np.inf).all()


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.data())
def test_small_catalogues_too(data: st.DataObject) -> None:
    n_users = data.draw(st.integers(1, 4))
    n_items = data.draw(st.integers(1, 9))
    k = data.draw(st.integers(1, n_items))
    value = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1e-45, 2.0, 3.4e38])
    cells = n_users * n_items
    scores = np.array(
        data.draw(st.lists(value, min_size=cells, max_size=cells)), np.float32
    ).reshape(n_users, n_items)
    flags = st.lists(st.booleans(), min_size=cells, max_size=cells)
    seen = np.array(data.draw(flags)).reshape(n_users, n_items)
    candidates = np.array(data.draw(flags))[:n_items]
    tie_rank = np.array(data.draw(st.permutations(range(n_items))), np.int32)
    items, tied = sorted_lists(scores, k, seen, candidates, tie_rank)
    for way in ("numpy", "compiled"):
        with pytest.MonkeyPatch.context() as monkeypatch:
            use(way, monkeypatch)
            found = lists_of(
                Table(scores),
                n_users,
                n_items,
                k,
                seen=csr_array(seen),
                candidates=candidates,
                tie_rank=tie_rank,
            )
        assert found.items.tolist() == items
        assert found.tied_boundary.tolist() == tied


def factor_model(n_users: int, n_items: int, d: int = 33) -> Factors:
    rng = derive(2, "factors")
    return Factors(
        rng.standard_normal((n_users, d), dtype=np.float32),
        rng.standard_normal((n_items, d), dtype=np.float32),
    )


@pytest.mark.usefixtures("either_way")
def test_factors_are_multiplied_and_ranked() -> None:
    n_users, n_items, k = 2 * USER_TILE + 11, 3 * ITEM_TILE + 5, 20
    rng = derive(3, "whole numbers")
    model = Factors(  # products of small whole numbers are exact in float32, and tied
        rng.integers(-3, 4, (n_users, 5)).astype(np.float32),
        rng.integers(-3, 4, (n_items, 5)).astype(np.float32),
    )
    scores = model.user_factors @ model.item_factors.T
    seen = rng.random(scores.shape) < 0.2
    tie_rank = tie_order(n_items, rng)

    found = lists_of(model, n_users, n_items, k, seen=csr_array(seen), tie_rank=tie_rank)

    items, tied = sorted_lists(scores, k, seen, np.ones(n_items, bool), tie_rank)
    assert found.items.tolist() == items
    assert found.tied_boundary.tolist() == tied
    assert np.array_equal(found.scores, np.take_along_axis(scores, found.items, 1))


@pytest.mark.parametrize("dense", [False, True])
def test_threads_memory_and_kernel_never_change_the_lists(
    dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topk, "DENSE_BLOCK", 100 * 1000)
    n_users, n_items, k = 777, 1000, 50
    model: Any = factor_model(n_users, n_items)
    if dense:
        users, items = model.factors()

        @dataclass
        class Product:
            def score(self, chosen: IdxArray) -> Float32Array:
                product: Float32Array = users[chosen] @ items.T
                return product

        model = Product()
    seen = csr_array(derive(4, "seen").random((n_users, n_items)) < 0.1)
    use("numpy", monkeypatch)
    expected = lists_of(model, n_users, n_items, k, seen=seen, threads=1, memory_mb=1)
    for way, threads, memory_mb in (
        ("numpy", 3, 512),
        ("compiled", 1, 512),
        ("compiled", 2, 1),
        ("compiled", 5, 4096),
    ):
        use(way, monkeypatch)
        found = lists_of(
            model, n_users, n_items, k, seen=seen, threads=threads, memory_mb=memory_mb
        )
        assert np.array_equal(found.items, expected.items)
        assert np.array_equal(found.scores, expected.scores)
        assert np.array_equal(found.tied_boundary, expected.tied_boundary)


def test_every_thread_multiplies_for_itself() -> None:
    counts = []

    class Watching:
        def score(self, users: IdxArray) -> Float32Array:
            counts.extend(
                library["num_threads"]
                for library in threadpool_info()
                if library["user_api"] == "blas"
            )
            return np.zeros((len(users), 3), np.float32)

    lists_of(Watching(), 4, 3, 1, threads=2)
    assert counts
    assert set(counts) == {1}


@pytest.mark.usefixtures("either_way")
def test_equal_scores_are_ordered_by_tie_rank_never_by_index() -> None:
    tie_rank = np.array([4, 2, 0, 3, 1], np.int32)
    found = lists_of(Table(np.zeros((2, 5), np.float32)), 2, 5, 3, tie_rank=tie_rank)
    assert found.items.tolist() == [[2, 4, 1], [2, 4, 1]]
    assert found.tied_boundary.tolist() == [True, True]


@pytest.mark.usefixtures("either_way")
def test_the_boundary_is_tied_only_when_a_candidate_was_left_out() -> None:
    scores = np.array([[1, 1, 1, 0], [1, 1, -np.inf, -np.inf], [2, 1, 1, 1]], np.float32)
    seen = csr_array(np.array([[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]]))
    found = lists_of(Table(scores), 3, 4, 2, seen=seen)
    assert found.tied_boundary.tolist() == [False, False, False]
    assert lists_of(Table(scores), 3, 4, 2).tied_boundary.tolist() == [True, False, True]


def test_the_tie_order_is_a_permutation_drawn_from_the_generator() -> None:
    order = tie_order(1000, derive(1, "ties"))
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert np.array_equal(order, tie_order(1000, derive(1, "ties")))
    assert not np.array_equal(order, tie_order(1000, derive(2, "ties")))
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.1


@pytest.mark.usefixtures("either_way")
def test_negative_zero_ties_with_zero() -> None:
    scores = np.array([[-0.0, 0.0, -0.0, -1.0]], np.float32)
    tie_rank = np.array([0, 1, 2, 3], np.int32)
    found = lists_of(Table(scores), 1, 4, 2, tie_rank=tie_rank)
    assert found.items.tolist() == [[0, 1]]
    assert found.tied_boundary.tolist() == [True]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("item", [0, STEP, STEP + 2])
def test_a_score_that_is_no_number_is_an_error_that_names_the_algorithm(
    wrong: float, item: int
) -> None:
    scores = np.arange(STEP + 3, dtype=np.float32)[::-1].repeat(2).reshape(-1, 2).T.copy()
    scores[1, item] = wrong
    with pytest.raises(DataError, match="Table gave a score that is NaN or infinite"):
        lists_of(Table(scores), 2, STEP + 3, 2)


@pytest.mark.usefixtures("either_way")
def test_factors_that_diverged_are_an_error() -> None:
    model = factor_model(5, 300)
    model.item_factors[299, 4] = np.nan
    with pytest.raises(DataError, match="Factors gave"):
        lists_of(model, 5, 300, 3)


@pytest.mark.usefixtures("either_way")
def test_what_cannot_be_listed_need_not_be_a_number() -> None:
    scores = np.array([[np.nan, 1, np.nan, 2]], np.float32)
    seen = csr_array(np.array([[1, 0, 0, 0]]))
    candidates = np.array([True, True, False, True])
    found = lists_of(Table(scores), 1, 4, 2, seen=seen, candidates=candidates)
    assert found.items.tolist() == [[3, 1]]


@pytest.mark.parametrize("k", [0, 6])
def test_a_cutoff_beyond_the_catalogue_is_refused(k: int) -> None:
    with pytest.raises(ConfigError, match=rf"k={k}.*catalogue of 5.*cutoffs"):
        lists_of(Table(np.zeros((1, 5), np.float32)), 1, 5, k)


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 4\); expected \(2, 5\)"):
        lists_of(Table(np.zeros((2, 4), np.float32)), 2, 5, 1)
    with pytest.raises(DataError, match=r"shapes \(2, 33\) and \(4, 33\)"):
        lists_of(factor_model(2, 4), 2, 5, 1)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    "arranged",
    [
        np.asfortranarray,
        lambda scores: scores.astype(np.float64),
        lambda scores: np.broadcast_to(scores[:1], scores.shape),
    ],
    ids=["column by column", "float64", "read-only"],
)
def test_scores_are_taken_as_they_come_and_left_alone(
    arranged: Callable[[AnyArray], AnyArray],
) -> None:
    scores = np.tile(np.array([3, 1, 2, 4], np.float32), (3, 1))
    given = arranged(scores)
    before = given.copy()
    found = lists_of(Table(given), 3, 4, 2, seen=csr_array(np.array([[0, 0, 0, 1]] * 3)))
    assert found.items.tolist() == [[0, 2]] * 3
    assert np.array_equal(given, before)


@pytest.mark.usefixtures("either_way")
def test_seen_items_may_come_unsorted_repeated_and_with_wide_indices() -> None:
    n_items = STEP + 3
    last = n_items - 1
    indices = np.array([last, 0, last, 1, 0], np.int64)
    seen = csr_array((np.ones(5), indices, np.array([0, 3, 5])), shape=(2, n_items))
    scores = np.zeros((2, n_items), np.float32)
    scores[:, [last, 0, 1]] = 3, 2, 1
    found = lists_of(Table(scores), 2, n_items, 2, seen=seen)
    assert found.items[:, 0].tolist() == [1, last]
    assert not {0, last} & set(found.items[0].tolist())
    assert not {0, 1} & set(found.items[1].tolist())


@pytest.mark.usefixtures("either_way")
def test_only_the_users_asked_for_are_answered() -> None:
    scores = np.eye(6, dtype=np.float32)
    users = np.array([1, 4], np.int32)
    found = top_k(
        Table(scores),
        users,
        1,
        seen=None,
        candidates=None,
        tie_rank=np.arange(6, dtype=np.int32),
        threads=1,
        memory_mb=1,
    )
    assert found.users.tolist() == [1, 4]
    assert found.items.tolist() == [[1], [4]]
    empty = lists_of(Table(scores), 0, 6, 2)
    assert empty.items.shape == (0, 2)


def test_without_numba_the_lists_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = lists_of(factor_model(50, 300), 50, 300, 5)

    class Missing:
        def __call__(self) -> None:
            raise ImportError("Numba needs NumPy 2.4 or less")

        def cache_info(self) -> Any:
            return kernel.compiled_collect.cache_info()

    monkeypatch.setattr(topk, "compiled_collect", Missing())
    monkeypatch.setattr(topk, "COMPILED_FROM", 0)
    found = lists_of(factor_model(50, 300), 50, 300, 5)
    assert np.array_equal(found.items, expected.items)


def test_small_problems_do_not_import_numba() -> None:
    program = (
        "import sys, numpy as np\n"
        "from recexp.evaluation.topk import top_k, tie_order\n"
        "class Model:\n"
        "    def score(self, users): return np.ones((len(users), 9), np.float32)\n"
        "top_k(Model(), np.arange(3, dtype=np.int32), 2, seen=None, candidates=None,\n"
        "      tie_rank=np.arange(9, dtype=np.int32), threads=2, memory_mb=1)\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.slow
def test_the_kernel_compiles_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "makedirs", nowhere)
    compiled = kernel.compiled_collect.__wrapped__()
    monkeypatch.undo()
    monkeypatch.setattr(topk, "_collect_for", lambda n_scores: compiled)
    scores = np.array([[1, 3, 2]], np.float32)
    assert lists_of(Table(scores), 1, 3, 2).items.tolist() == [[1, 2]]
