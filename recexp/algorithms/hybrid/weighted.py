"""The weighted mean of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from recexp.algorithms.base import PredictsRatings, Recommender, require
from recexp.algorithms.hybrid.fusion import Fusion
from recexp.algorithms.hybrid.normalize import NORMALIZATIONS, Normalization, normalized
from recexp.arrays import BoolArray, Float32Array, FloatArray, IdxArray
from recexp.errors import ConfigError, did_you_mean


@dataclass(eq=False)
class Weighted(Fusion):
    """The weighted mean of the members' scores, normalized user by user (Burke 2002: weighted).

    With `normalize=none` and members that all predict ratings it predicts the mean of their
    ratings; a pair that one of them cannot predict has none. See `Composite` for users and items
    of which members have nothing to say, `normalized` for -inf and for scores that are all equal.

    Attributes:
        members: two or more recommenders by name.
        weights: by the names of members, >= 0, not all 0; a member not named weighs 1.
        normalize: how scores are made comparable: `min_max`, `z_score`, `rank` or `none`.
    """

    members: Mapping[str, Recommender]
    weights: Mapping[str, float] = field(default_factory=dict)
    normalize: Normalization = "min_max"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.normalize in NORMALIZATIONS, self, "normalize", "|".join(NORMALIZATIONS))
        for name, weight in self.weights.items():
            if name not in self.members:
                near = did_you_mean(name, self.members)
                raise ConfigError(f"algo.weights.{name}: no member has this name{near}")
            if weight < 0:
                raise ConfigError(f"algo.weights.{name}={weight}: Weighted expects a number >= 0")
        self.weights = {name: self.weights.get(name, 1.0) for name in self.members}
        require(bool(self._weights.any()), self, "weights", "one of them > 0")
        if self.normalize == "none":
            self._offer(PredictsRatings, self.members.values())

    @property
    def _weights(self) -> FloatArray:
        return np.array([self.weights[name] for name in self.members])

    def _votes(self, speaks: BoolArray) -> FloatArray:
        votes = super()._votes(speaks)
        votes /= votes.sum(axis=0)
        return votes

    def _points(self, scores: Float32Array) -> Float32Array:
        return normalized(scores, self.normalize)

    def _predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        rating = np.zeros(len(users))
        votes = self._votes(self._speaking(users))
        for member, vote in zip(self.members_.values(), votes, strict=True):
            rating += np.where(vote > 0, vote * member.predict(users, items), 0.0)
        return rating
