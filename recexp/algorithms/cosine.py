"""How alike items are by the vectors that a model has learned of them."""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray


def cosines(vectors: AnyArray, items: IdxArray) -> Float32Array:
    """Return the cosine of the vector of each of `items` with every item's, 0 for a vector of 0.

    `vectors` is (n_items, d); the result float32 (len(items), n_items).
    """
    lengths = np.sqrt(np.einsum("id,id->i", vectors, vectors))  # without a copy of the vectors
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    similar = (vectors[items] * inverse[items, None]) @ vectors.T
    similar *= inverse
    return np.asarray(similar, np.float32)
