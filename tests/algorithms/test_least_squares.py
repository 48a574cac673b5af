"""The solutions of the least squares are those of the equations written out row by row."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from recexp.algorithms.least_squares import penalized, solve

D = 4


@pytest.fixture
def weights() -> csr_array:
    """12 rows of weights above 1 on 9 others; the last row is empty."""
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((12, 9)) < 0.4, 1 + 5 * rng.random((12, 9)), 0.0)
    dense[-1] = 0
    return csr_array(dense.astype(np.float32))


def naive(weights: csr_array, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Weighted ridge regression of the preferences on all others, one row at a time."""
    found = []
    for row, penalty in zip(weights.toarray().astype(float), penalties, strict=True):
        c = np.where(row > 0, row, 1.0)
        left = y.T @ np.diag(c) @ y + penalty * np.eye(y.shape[1])
        found.append(np.linalg.inv(left) @ y.T @ np.diag(c) @ (row > 0).astype(float))
    return np.array(found)


def test_each_row_solves_its_own_weighted_ridge_regression(weights: csr_array) -> None:
    y = np.random.default_rng(0).normal(size=(9, D))
    penalties = np.linspace(0.1, 3, 12)
    np.testing.assert_allclose(solve(weights, y, penalties), naive(weights, y, penalties))
    assert (solve(weights, y, penalties)[-1] == 0).all()


def test_the_added_columns_give_the_library_a_penalty_for_each_row(weights: csr_array) -> None:
    y = np.random.default_rng(0).normal(size=(9, D))
    penalties = np.linspace(0.5, 3, 12)
    with threadpool_limits(1, user_api="blas"):
        library = AlternatingLeastSquares(D, dtype=np.float64, num_threads=1)
        x = np.random.default_rng(1).normal(size=(12, D))
        units = np.vstack([y, np.eye(D)])
        for _ in range(20):  # rounds of three steps of conjugate gradients each
            library.solver(penalized(weights, penalties, D), x, units, 0.0, num_threads=1)
    np.testing.assert_allclose(x, naive(weights, y, penalties), atol=1e-6)
