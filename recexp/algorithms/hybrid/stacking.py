"""The weighted sum of scores, with weights learned from held-out training interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recexp.algorithms.base import Recommender, require
from recexp.algorithms.guards import blocks
from recexp.algorithms.hybrid.choice import conditional_logit
from recexp.algorithms.hybrid.fusion import Fusion
from recexp.algorithms.hybrid.normalize import NORMALIZATIONS, Normalization, normalized
from recexp.arrays import BoolArray, Float32Array, FloatArray, IntArray
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import DataError
from recexp.rng import derive


@dataclass(eq=False)
class Stacking(Fusion):
    """The sum of the members' normalized scores, with weights that predict held-out interactions.

    Wolpert 1992 (stacked generalization). A random share of the training interactions is held out
    and the members learn from the rest. Each then proposes its `n_candidates` best new items to
    each user, and the weights w are those of a conditional logit (McFadden 1974) among a user's
    proposals: they maximize the mean log likelihood of the held-out positives, each chosen with
    probability exp(w . x) / sum of exp(w . x), where x are an item's normalized scores by member.
    Every user weighs the same. At last the members learn again, from all training interactions.

    Choosing among proposals, not among all items, fits the weights to the head of the list, where
    it counts. There a member that is right on the whole may look wrong, so weights are not
    negative (Breiman 1996), and without evidence they are equal. The split is this algorithm's
    own, from its seed and from training data alone. `partial_fit` leaves the weights as they are.

    Learned besides: `weights_`, float64, >= 0, one a member in their order.

    Attributes:
        members: two or more recommenders by name.
        normalize: how scores are made comparable: `min_max`, `z_score`, `rank` or `none`.
        validation_fraction: the share of training interactions held out, between 0 and 1.
        n_candidates: proposals of each member, >= 1; of items that tie for the last, none.
        regularization: L2 penalty on what the weights differ from 1, > 0.
        positive_threshold: the value from which an interaction counts; None: the dataset's.
        seed: of what is held out.
    """

    members: Mapping[str, Recommender]
    normalize: Normalization = "min_max"
    validation_fraction: float = 0.1
    n_candidates: int = 20
    regularization: float = 1.0
    positive_threshold: float | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.normalize in NORMALIZATIONS, self, "normalize", "|".join(NORMALIZATIONS))
        between = 0 < self.validation_fraction < 1
        require(between, self, "validation_fraction", "a number between 0 and 1, both excluded")
        require(self.n_candidates >= 1, self, "n_candidates", "a whole number >= 1")
        require(self.regularization > 0, self, "regularization", "a number > 0")

    def fit(self, train: Dataset) -> Self:
        rows = train.interactions
        held = derive(self.seed, "stacking").random(len(rows)) < self.validation_fraction
        rest = train.with_interactions(rows.select(~held))
        positives = train.with_interactions(rows.select(held)).positives(self.positive_threshold)
        super().fit(rest)
        scores, chosen, users = self._proposals(rest.interactions, positives)
        if not chosen.any():
            raise DataError(
                f"{train.name}: none of the {len(positives)} positive interactions that Stacking "
                "held out is among what its members propose, so there are no weights to learn: "
                "raise algo.validation_fraction or algo.n_candidates, or use algo=hybrid"
            )
        self.weights_: FloatArray = conditional_logit(scores, chosen, users, self.regularization)
        return super().fit(train)

    def _proposals(
        self, known: Interactions, positives: Interactions
    ) -> tuple[FloatArray, BoolArray, IntArray]:
        """What the members propose to the users of `positives`, a row each proposed item.

        Returns (normalized scores (p, n_members), whether the item is a positive (p,), its user
        (p,), ascending).
        """
        known_items, chosen_items = known.csr("ones"), positives.csr("ones")
        users = positives.users()
        parts = [(np.empty((0, len(self.members))), np.empty(0, np.bool_), np.empty(0, np.int64))]
        for rows in blocks(len(users), known.n_items):
            block = users[rows]
            speaks = self._speaking(block)
            scores = [member.score(block) for member in self.members_.values()]
            old = known_items[block].toarray() > 0
            proposed = np.zeros(old.shape, np.bool_)
            for own, speaking in zip(scores, speaks, strict=True):
                proposed |= self._best(np.where(old, -np.inf, own)) & speaking[:, None]
            user, item = np.nonzero(proposed)
            by_member = [
                np.where(speaking[user], normalized(own, self.normalize)[user, item], 0.0)
                for own, speaking in zip(scores, speaks, strict=True)
            ]
            chosen = chosen_items[block].toarray()[user, item] > 0
            parts.append((np.stack(by_member, axis=1), chosen, block[user].astype(np.int64)))
        x, of_positive, of_user = (np.concatenate(part) for part in zip(*parts, strict=True))
        possible = np.isfinite(x).all(axis=1)
        return x[possible].astype(np.float64), of_positive[possible], of_user[possible]

    def _best(self, scores: Float32Array) -> BoolArray:
        """The best items of each row, at most `n_candidates`."""
        if self.n_candidates >= scores.shape[1]:
            return scores > -np.inf
        at = scores.shape[1] - self.n_candidates - 1
        above: BoolArray = scores > np.partition(scores, at, axis=1)[:, [at]]
        return above

    @property
    def _weights(self) -> FloatArray:
        return self.weights_

    def _points(self, scores: Float32Array) -> Float32Array:
        return normalized(scores, self.normalize)

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"weights": self.weights_}

    def _restore(self, state: Mapping[str, Any]) -> Self:
        self.weights_ = state["weights"]
        return super()._restore(state)
