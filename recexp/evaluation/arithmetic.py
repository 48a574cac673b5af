"""Arithmetic that has an answer where a divisor is zero or values tie."""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, FloatArray


def ratio(top: AnyArray | float, bottom: AnyArray, otherwise: float) -> FloatArray:
    """Return top / bottom, float64, and `otherwise` where `bottom` is not positive."""
    filled = np.full(np.shape(bottom), otherwise, np.float64)
    np.divide(top, bottom, out=filled, where=np.asarray(bottom) > 0)
    return filled


def percentile(values: AnyArray) -> FloatArray:
    """Return the percentile of each value among all, in (0, 1): (below + equal / 2) / n.

    Equal values get the same percentile (`scipy.stats.percentileofscore(kind="mean")`), so no
    boundary drawn by percentiles ever depends on the order of the input.

    >>> percentile(np.array([5, 1, 1, 9])).tolist()
    [0.625, 0.25, 0.25, 0.875]
    """
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    middle: FloatArray = (np.cumsum(size) - size / 2) / len(values)
    return middle[group]
