"""A conditional logit: why somebody chose these among those."""

from __future__ import annotations

import numpy as np

from recexp.arrays import BoolArray, FloatArray, IntArray


def conditional_logit(
    x: FloatArray, chosen: BoolArray, group: IntArray, regularization: float
) -> FloatArray:
    """Return the weights w >= 0, float64 (d,), under which the chosen rows are the likeliest.

    Within its group a row is chosen with probability exp(w . x) / sum of exp(w . x) (McFadden
    1974). Maximizes, summed over groups, the mean log probability of the chosen rows, minus
    regularization / 2 |w - 1|^2: a concave function with one maximum. Without evidence the weights
    are equal.

    Args:
        x: (n, d) what is known of each row.
        chosen: (n,), at least one; groups without any are left out.
        group: (n,), ascending.
        regularization: > 0.
    """
    from scipy.optimize import minimize

    n_chosen = np.bincount(group, chosen)[group]
    kept = n_chosen > 0
    x, chosen, group, n_chosen = x[kept], chosen[kept], group[kept], n_chosen[kept]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(start, append=len(group))
    mean_chosen = (x[chosen] / n_chosen[chosen, None]).sum(axis=0)

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        utility = x @ w
        top = np.maximum.reduceat(utility, start)
        odds = np.exp(utility - np.repeat(top, size))
        total = np.add.reduceat(odds, start)
        expected = (odds / np.repeat(total, size)) @ x
        value = (
            (top + np.log(total)).sum() - w @ mean_chosen + regularization / 2 * ((w - 1) @ (w - 1))
        )
        return value, expected - mean_chosen + regularization * (w - 1)

    equal = np.ones(x.shape[1])
    bounds = [(0.0, None)] * len(equal)
    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-10)
    weights: FloatArray = found.x
    return weights
