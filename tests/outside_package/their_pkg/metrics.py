"""A metric from outside: one value for each user whose lists were judged."""

from __future__ import annotations

import numpy as np

from recexp.arrays import FloatArray
from recexp.evaluation.judge import Judged


def first_place(judged: Judged) -> FloatArray:
    """1 if the item at the top of the list is one of the test items, else 0."""
    values = np.zeros(len(judged.users))
    values[judged.rows[judged.ranks == 1]] = 1.0
    return values
