"""Users or items as sums of features: an identity of their own, and what the dataset says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recexp.arrays import BoolArray, Float32Array, IntArray, Sparse
from recexp.data.dataset import Features


@dataclass(frozen=True, eq=False)
class Side:
    """The users, or the items: identities of the known, then side features.

    Attributes:
        known: which have an identity.
        described: which have side features.
        matrix: csr (n, n_known + n_features); the unknown have only their side features.
        weight: (n, 1) what an identity weighs in its row.
    """

    known: BoolArray
    described: BoolArray
    matrix: Sparse
    weight: Float32Array

    @classmethod
    def of(cls, known: BoolArray, features: Features | None, normalize: bool) -> Side:
        """Return the side of those `known` with their `features`, if any.

        With `normalize` the weights of each row sum to 1.
        """
        from scipy.sparse import csr_array, diags_array, hstack

        n = len(known)
        identity = csr_array(
            (np.ones(known.sum(), np.float32), (np.flatnonzero(known), np.arange(known.sum()))),
            shape=(n, known.sum()),
        )
        side = csr_array((n, 0), dtype=np.float32) if features is None else features.matrix
        total = np.asarray(abs(side).sum(axis=1), np.float32)
        weight = np.ones(n, np.float32)
        if normalize:
            weight /= 1 + total
        matrix = diags_array(weight) @ hstack([identity, side], format="csr")
        return cls(known, total > 0, csr_array(matrix, dtype=np.float32), weight[:, None])

    def training_rows(self) -> Sparse:
        """Return the rows of the known, csr in the types that LightFM insists on."""
        from scipy.sparse import csr_matrix

        rows = self.matrix[np.flatnonzero(self.known)]
        parts = (rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32))
        return csr_matrix(parts, shape=rows.shape)

    @property
    def places(self) -> IntArray:
        """The row of each of the known in `training_rows`, int32."""
        return (np.cumsum(self.known) - 1).astype(np.int32)

    def represent(self, embeddings: Float32Array, biases: Float32Array) -> Float32Array:
        """Return the embedding, then the bias, of each: float32 (n, d + 1).

        The mean identity stands for the identity of the unknown.
        """
        parameters = np.column_stack([embeddings, biases])
        rows = np.asarray(self.matrix @ parameters, np.float32)
        mean_identity = parameters[: self.known.sum()].mean(axis=0)
        rows[~self.known] += self.weight[~self.known] * mean_identity
        return rows
