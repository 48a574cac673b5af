"""Weighted least squares between rows of factors: what ALS solves, exactly.

Row r wants x . y_j = 1 for its positives j and 0 for all other j. A positive weighs c_rj (a csr of
weights), another pair 1, and |x|^2 its penalty lambda_r:

    (Y'Y + sum_j (c_rj - 1) y_j y_j' + lambda_r I) x = sum_j c_rj y_j
"""

from __future__ import annotations

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, FloatArray, Sparse


def solve(weights: Sparse, others: AnyArray, penalties: FloatArray) -> FloatArray:
    """Return the x of each row of csr `weights`, float64 (n, d); `others` are the y (m, d)."""
    y = others.astype(np.float64)
    n, d = weights.shape[0], y.shape[1]
    solved = np.empty((n, d))
    for rows in blocks(n, d * d):
        left = left_sides(weights[rows], y, penalties[rows])
        solved[rows] = np.linalg.solve(left, (weights[rows] @ y)[..., None])[..., 0]
    return solved


def left_sides(weights: Sparse, others: AnyArray, penalties: FloatArray) -> FloatArray:
    """Return the matrix on the left of each row's equation, float64 (n, d, d)."""
    y = others.astype(np.float64)
    d = y.shape[1]
    extra = weights.astype(np.float64)
    extra.data -= 1
    left = np.empty((weights.shape[0], d, d))
    for row in range(d):  # one row of all matrices at a time: y y' of all items is too large
        left[:, row] = extra @ (y * y[:, [row]])
    return left + y.T @ y + penalties[:, None, None] * np.eye(d)


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
