"""Surprise's baseline estimates: the mean rating and what each user and item adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recexp.algorithms.base import require
from recexp.algorithms.surprise.factored import FactoredRatings
from recexp.algorithms.surprise.trainset import Trained
from recexp.data.dataset import Dataset


@dataclass(eq=False)
class Baseline(FactoredRatings):
    """The baseline estimate mu + b_u + b_i, an unknown user or item contributing nothing.

    Koren, TKDD 2010, section 2.1. Trained by Surprise.

    Attributes:
        method: `als` (alternating least squares) or `sgd` (stochastic gradient descent).
        epochs: passes over the ratings, >= 1.
        user_regularization, item_regularization: ridge penalties of `als`, >= 0.
        learning_rate, regularization: step size > 0 and L2 penalty >= 0 of `sgd`.
    """

    method: Literal["als", "sgd"] = "als"
    epochs: int = 10
    user_regularization: float = 15.0
    item_regularization: float = 10.0
    learning_rate: float = 0.005
    regularization: float = 0.02

    def __post_init__(self) -> None:
        require(self.method in ("als", "sgd"), self, "method", "als or sgd")
        require(self.epochs >= 1, self, "epochs", "a whole number >= 1")
        require(self.learning_rate > 0, self, "learning_rate", "a number > 0")
        for name in ("user_regularization", "item_regularization", "regularization"):
            require(getattr(self, name) >= 0, self, name, "a number >= 0")

    def _untrained(self) -> Any:
        import surprise

        options = {
            "method": self.method,
            "n_epochs": self.epochs,
            "reg_u": self.user_regularization,
            "reg_i": self.item_regularization,
            "learning_rate": self.learning_rate,
            "reg": self.regularization,
        }
        return surprise.BaselineOnly(bsl_options=options, verbose=False)

    def _learn(self, trained: Trained, train: Dataset) -> None:
        none = np.empty((len(trained.users), 0)), np.empty((len(trained.items), 0))
        self._set_biased(trained, train, *none)
