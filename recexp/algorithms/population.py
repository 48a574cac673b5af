"""A user's vector from his history, when training has learned what vectors users have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, Sparse


@dataclass(frozen=True, eq=False)
class Population:
    """Users' vectors as draws from a normal distribution, histories as draws from their tastes.

    The prior of a vector x is N(m, S), the mean and covariance of the trained users' vectors. A
    history of n items is drawn item by item with probability proportional to exp(x . y_i), at
    x = m as often as in training. The logarithm of the posterior, expanded to second order around
    m, is largest at

        x = m + S (I + n C S)^-1 sum over the history of (y_i - e),

    e and C being the mean and covariance of the items' vectors y over the training positives:
    without a history the mean user, with a long one whoever would have chosen it. (One step of
    Newton's method on the posterior of a multinomial logit model: Bishop 2006, section 4.4.)

    Attributes:
        mean_user: m, (d,).
        mean_item: e, (d,).
        basis: B, (d, d) with B B' = S and B' C B diagonal.
        spread: that diagonal, (d,).
    """

    mean_user: FloatArray
    mean_item: FloatArray
    basis: FloatArray
    spread: FloatArray

    @classmethod
    def of(
        cls, users: AnyArray, items: AnyArray, positives: Sparse, trained: BoolArray
    ) -> Population:
        """Return the population of the `trained` among vectors `users`, (n_users, d).

        `positives` is csr (n_users, n_items) of ones; `items` are the vectors y.
        """
        x, y = users[trained].astype(np.float64), items.astype(np.float64)
        share = np.bincount(positives.indices, minlength=len(y)) / positives.nnz
        mean_user, mean_item = x.mean(axis=0), share @ y
        covariance = (x - mean_user).T @ (x - mean_user) / len(x)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        around = (y - mean_item) @ root
        spread, turn = np.linalg.eigh((around * share[:, None]).T @ around)
        return cls(mean_user, mean_item, root @ turn, np.maximum(spread, 0))

    def vectors(self, histories: Sparse, items: AnyArray) -> FloatArray:
        """Return the x of each of the histories, csr of ones: float64 (n_histories, d)."""
        n = np.diff(histories.indptr)[:, None]
        evidence = histories @ items.astype(np.float64) - n * self.mean_item
        found: FloatArray = (evidence @ self.basis) / (1 + n * self.spread) @ self.basis.T
        return self.mean_user + found

    def state(self) -> dict[str, Any]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Population:
        """Return the population whose `state()` is among `state`."""
        return cls(*(state[field.name] for field in fields(cls)))
