"""Cosines between items."""

from __future__ import annotations

import numpy as np

from recexp.algorithms.cosine import cosines


def test_they_are_cosines_and_zero_for_what_was_never_learned() -> None:
    vectors = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [-6.0, -8.0]])
    found = cosines(vectors, np.array([0, 2], np.int32))
    np.testing.assert_allclose(found, [[1, 24 / 25, 0, -1], [0, 0, 0, 0]], atol=1e-7)
    assert found.dtype == np.float32
