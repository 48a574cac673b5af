"""What learners from implicit feedback share: the positives, and who has any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recexp.algorithms.base import Source
from recexp.algorithms.guards import require_room
from recexp.arrays import IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import DataError


class LearnsFromPositives:
    """A recommender that learns from training interactions >= `positive_threshold`, as ones.

    Learned: `histories_`, float32 csr (n_users, n_items) of ones at the positives; `threshold_`,
    from which a value is positive, None when every one is. Users without positives are left to the
    fallback.
    """

    positive_threshold: float | None

    histories_: Sparse
    threshold_: float | None

    def _take_positives(self, train: Dataset) -> Sparse:
        """Set and return `histories_`; raises DataError when nobody has a positive."""
        positives = train.positives(self.positive_threshold)
        if not len(positives):
            raise DataError(
                f"{train.name} has no positive training interaction, and {type(self).__name__} "
                "learns from nothing else: lower positive_threshold"
            )
        given = self.positive_threshold
        threshold = train.relevance_threshold if given is None else given
        self.threshold_ = threshold if train.explicit else None
        self.histories_ = positives.csr("ones")
        return self.histories_

    def _add_positives(self, new: Dataset) -> Interactions:
        """Take the positives of `new` into `histories_`, which grows with it, and return them."""
        require_room(self, new, *self.histories_.shape)
        positives = new.positives(self.positive_threshold)
        histories = grown(self.histories_, (new.n_users, new.n_items)) + positives.csr("ones")
        histories.data[:] = 1.0
        self.histories_ = histories
        return positives

    def _positives_of(self, histories: Sparse) -> Sparse:
        """The positives among the values of csr `histories`, float32 csr of ones."""
        from scipy.sparse import csr_array

        liked = csr_array(histories, dtype=np.float32, copy=True)
        if self.threshold_ is not None:
            liked.data[liked.data < np.float32(self.threshold_)] = 0.0
            liked.eliminate_zeros()
        liked.data[:] = 1.0
        return liked

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        begins = self.histories_.indptr
        known = begins[users + 1] > begins[users]
        return np.where(known, Source.MODEL, Source.FALLBACK).astype(np.uint8)


def grown(matrix: Sparse, shape: tuple[int, int]) -> Sparse:
    """Return a copy of csr `matrix` with empty rows and columns appended up to `shape`."""
    larger = matrix.copy()
    larger.resize(shape)
    return larger
