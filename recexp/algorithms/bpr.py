"""Bayesian personalized ranking, trained by the implicit library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.cosine import cosines
from recexp.algorithms.epochs import paused
from recexp.algorithms.guards import require_finite
from recexp.algorithms.implicit import ImplicitFactors
from recexp.arrays import Float32Array, IdxArray
from recexp.data.dataset import Dataset
from recexp.progress import progress


@dataclass(eq=False)
class BPR(ImplicitFactors):
    """Factors and item biases that rank positives above other items, by stochastic descent.

    Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009, in the implicit library. It draws
    negatives j in proportion to their positives n_j, so that what it learns for a user u and an
    item i comes near log p(i|u) - log n_i: the popularity of an item is taken out of its score.
    `popularity_correction` log n_i is added to the item's bias after training; with 1, scores rank
    as those learned from negatives drawn uniformly, as in the paper. With 0 they are the library's.

    Attributes:
        n_factors: >= 1, besides the bias.
        epochs: as many samples as there are positives, each, >= 1.
        learning_rate: step size, > 0.
        regularization: L2 penalty, >= 0.
        popularity_correction: >= 0.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        threads: with more than 1, no two fits are alike.
        seed: of the initial factors and the sampling.
    """

    n_factors: int = 64
    epochs: int = 100
    learning_rate: float = 0.02
    regularization: float = 0.03
    popularity_correction: float = 1.0
    positive_threshold: float | None = None
    threads: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("n_factors", "epochs", "threads"):
            require(getattr(self, name) >= 1, self, name, "a whole number >= 1")
        require(self.learning_rate > 0, self, "learning_rate", "a number > 0")
        require(self.regularization >= 0, self, "regularization", "a number >= 0")
        corrected = self.popularity_correction >= 0
        require(corrected, self, "popularity_correction", "a number >= 0")

    @property
    def deterministic(self) -> bool:
        return self.threads == 1

    def fit(self, train: Dataset) -> Self:
        epochs = iter(progress(range(self.epochs), "BPR epochs"))
        self._fit(train, lambda *_: next(epochs, None))
        return self

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        return paused(partial(self._fit, train))

    def _fit(self, train: Dataset, callback: Callable[..., Any]) -> None:
        """Train in the library, which calls `callback` after each epoch."""
        import implicit.cpu.bpr
        from scipy.sparse import csr_matrix

        positives = self._take_positives(train)
        no_user = np.diff(positives.indptr) == 0
        counts = np.bincount(positives.indices, minlength=train.n_items)
        correction = self.popularity_correction * np.log(np.maximum(counts, 1))
        model = implicit.cpu.bpr.BayesianPersonalizedRanking(
            factors=self.n_factors,
            iterations=self.epochs,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            num_threads=self.threads,
            random_state=self.seed,
        )

        def after_epoch(*_: object) -> None:
            self.user_factors_, self.item_factors_ = model.user_factors, model.item_factors.copy()
            require_finite(self, self.user_factors_, self.item_factors_)
            self.item_factors_[:, -1] += correction
            # Nothing trains these rows, but the library starts users with a bias column of 1.
            self.user_factors_[no_user], self.item_factors_[counts == 0] = 0.0, 0.0
            callback()

        model.fit(csr_matrix(positives), show_progress=False, callback=after_epoch)

    def similarities(self, items: IdxArray) -> Float32Array:
        return cosines(self.item_factors_[:, :-1], items)  # without the bias: popular is not alike
