"""Inverses of Gram matrices in panels, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from recexp.algorithms import inverse
from recexp.algorithms.inverse import diagonal, inverse_of_gram, whole


@pytest.fixture
def rows() -> Any:
    """90 rows, alike enough for a condition number of 40,000."""
    rng = np.random.default_rng(5)
    return csr_array((rng.random((90, 120)) < 0.9).astype(np.float32))


@pytest.mark.parametrize("block", [1, 17, 30, 89, 90, 1024])
def test_the_inverse_is_numpys_for_blocks_of_any_size(
    block: int, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inverse, "BLOCK", block)
    dense = rows.toarray().astype(np.float64)
    expected = np.linalg.inv(dense @ dense.T + 0.2 * np.eye(90))
    panels = inverse_of_gram(rows, 0.2)
    np.testing.assert_allclose(diagonal(panels), np.diag(expected), rtol=1e-10)
    matrix = whole(panels)
    assert panels == []
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-5)
    np.testing.assert_allclose(matrix, expected, atol=1e-6 * abs(expected).max())


def test_digits_are_kept_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((400, 300)) < 0.5).astype(np.float64)  # inverting by halves loses them
    monkeypatch.setattr(inverse, "BLOCK", 10)
    panels = inverse_of_gram(csr_array(dense, dtype=np.float32), 3.0)
    expected = np.linalg.inv(dense @ dense.T + 3.0 * np.eye(400))
    np.testing.assert_allclose(panels[-1], expected[-10:], atol=1e-12)


def test_a_singular_matrix_is_refused() -> None:
    twins = csr_array(np.ones((2, 3), np.float32))
    with pytest.raises(np.linalg.LinAlgError):
        inverse_of_gram(twins, 1e-300)
