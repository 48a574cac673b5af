"""How alike items are by the vectors that a model has learned of them."""

from __future__ import annotations

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray


def cosines(vectors: AnyArray, items: IdxArray) -> Float32Array:
    """Return the cosine of the vector of each of `items` with every item's, 0 for a vector of 0.

    `vectors` is (n_items, d); the result float32 (len(items), n_items).
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    similar: Float32Array = directions[items] @ directions.T
    return similar
