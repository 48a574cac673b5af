"""A user of Surprise's factorizations from ratings given after training."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.algorithms.surprise.factored import FactoredRatings, LearnedFactors
from recexp.arrays import Float32Array, FloatArray, Sparse


def descend(
    residuals: Sparse,
    items: FloatArray,
    learning_rate: float,
    regularization: float,
    epochs: int,
) -> FloatArray:
    """Return what Surprise's gradient descent learns of users while the items stay, float64 (n, d).

    In every epoch, rating by rating, t += eta ((y_i - z_i . t) z_i - lambda t) from t = 0. To learn
    as long as training does keeps a user as close to the average as training keeps others; the
    least squares that the descent would end in fit short histories too well.

    Args:
        residuals: csr (n, n_items): y, what is left of the user's ratings without t.
        items: z, the items' part in t, (n_items, d).
        learning_rate, regularization: eta and lambda.
        epochs: passes over each user's ratings.
    """
    lengths = np.diff(residuals.indptr)
    longest_first = np.argsort(-lengths, kind="stable")
    begins, lengths = residuals.indptr[:-1][longest_first], lengths[longest_first]
    found = np.zeros((len(lengths), items.shape[1]))
    for _ in range(epochs):
        for step in range(lengths[0] if len(lengths) else 0):  # a rating of every user at a time
            at = begins[: np.searchsorted(-lengths, -step)] + step
            t, z = found[: len(at)], items[residuals.indices[at]]
            errors = residuals.data[at] - (t * z).sum(axis=1)
            t += learning_rate * (errors[:, None] * z - regularization * t)
    learned = np.empty_like(found)
    learned[longest_first] = found
    return learned


class FoldedByDescent(LearnedFactors):
    """Users of given histories by the descent of training, with the items as they are."""

    learning_rate: float
    regularization: float
    epochs: int

    mean_: float

    learned: ClassVar[tuple[str, ...]] = (*FactoredRatings.learned, "mean")

    def _descend(self, ratings: Sparse, items: FloatArray) -> FloatArray:
        return descend(ratings, items, self.learning_rate, self.regularization, self.epochs)

    def _folded_biased(self, ratings: Sparse, given: FloatArray | None = None) -> Float32Array:
        """The scores of users whose factors are `given` and what they learn beside the bias."""
        q, b = self.item_factors_[:, :-2], self.item_factors_[:, -1]
        rest = ratings.copy()
        rest.data -= self.mean_ + b[rest.indices]
        if given is not None:
            owners = np.repeat(np.arange(len(given)), np.diff(rest.indptr))
            for part in blocks(rest.nnz, q.shape[1]):
                of_part = given[owners[part]] * q[rest.indices[part]]
                rest.data[part] -= of_part.sum(axis=1)
        own = self._descend(rest, np.column_stack([q, np.ones(len(q))]))
        p = own[:, :-1] if given is None else own[:, :-1] + given
        users = np.column_stack([p, self.mean_ + own[:, -1], np.ones(len(p))])
        return (users @ self.item_factors_.T).astype(np.float32)
