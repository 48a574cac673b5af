"""Weighted least squares between rows of factors: what ALS solves, exactly.

Row r wants x . y_j = 1 for its positives j and 0 for all other j. A positive weighs c_rj (a csr of
weights), another pair 1, and |x|^2 its penalty lambda_r:

    (Y'Y + sum_j (c_rj - 1) y_j y_j' + lambda_r I) x = sum_j c_rj y_j
"""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, FloatArray, Sparse


def solve(
    weights: Sparse, others: AnyArray, penalties: FloatArray, gram: FloatArray | None = None
) -> FloatArray:
    """Return the x of each row of csr `weights`, float64 (n, d); `others` are the y (m, d).

    `gram` is `gram_of(others)`, for those who ask often.
    """
    gram = gram_of(others) if gram is None else gram
    solved = np.zeros((weights.shape[0], others.shape[1]))
    for row in range(weights.shape[0]):  # y y' of all items is too large, and csr products slower
        own = slice(weights.indptr[row], weights.indptr[row + 1])
        y = others[weights.indices[own]].astype(np.float64)
        c = weights.data[own].astype(np.float64)
        solved[row] = np.linalg.solve(left_side(y, c, penalties[row], gram), y.T @ c)
    return solved


def left_side(y: FloatArray, c: FloatArray, penalty: float, gram: FloatArray) -> FloatArray:
    """Return the matrix on the left of a row's equation, float64 (d, d).

    `y` (n, d) and `c` (n,) are the others' factors and the weights of its positives.
    """
    left = gram + y.T @ (y * (c - 1)[:, None])
    left[np.diag_indices(len(left))] += penalty
    return left


def gram_of(others: AnyArray) -> FloatArray:
    """Return Y'Y, float64 (d, d)."""
    y = others.astype(np.float64)
    gram: FloatArray = y.T @ y
    return gram


def penalized(weights: Sparse, penalties: FloatArray, d: int) -> Sparse:
    """Return csr `weights` with d more columns that give each row a penalty of its own.

    They stand for d more rows of `others`, the unit vectors e_k. implicit adds nothing on the
    right for a weight below 0, and (|c| - 1) e_k e_k' on the left beside the e_k e_k' in Y'Y: with
    c = -lambda_r the d of them add lambda_r I. A row without positives stays empty, for implicit
    skips it.
    """
    from scipy.sparse import csr_array, hstack

    filled = np.flatnonzero(np.diff(weights.indptr))
    values = np.repeat(-penalties[filled], d).astype(np.float32)
    at = (np.repeat(filled, d), np.tile(np.arange(d), len(filled)))
    units = csr_array((values, at), shape=(weights.shape[0], d))
    return csr_array(hstack([weights, units], format="csr"), dtype=np.float32)
