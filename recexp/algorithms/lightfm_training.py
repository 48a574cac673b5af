"""The LightFM library in training: what it learns, from what, and how that grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recexp.algorithms.guards import require_finite
from recexp.algorithms.side_features import Side
from recexp.arrays import AnyArray, BoolArray, Float32Array
from recexp.errors import ConfigError

PARAMETERS = tuple(
    f"{side}_{name}"
    for side in ("user", "item")
    for name in (
        *("embeddings", "embedding_gradients", "embedding_momentum"),
        *("biases", "bias_gradients", "bias_momentum"),
    )
)
"""The library's arrays: what it has learned, and what its optimizer remembers."""


def library_model(seed: int, **options: Any) -> Any:
    """Return an untrained model of the library; raises ConfigError when there is no library."""
    try:
        from lightfm import LightFM
    except ImportError as error:
        raise ConfigError(
            f"algo=lightfm needs the package lightfm-next, which does not load here ({error}): "
            "install it (not on Windows; a C compiler is needed), or use algo=bpr or algo=als"
        ) from None
    return LightFM(**options, random_state=seed)


@dataclass(frozen=True, eq=False)
class Training:
    """A model of the library and what it is trained on.

    Attributes:
        model: the library's.
        users, items: who is known, and by which features.
        user_rows, item_rows: the features of the known.
        interactions: coo over the known users and items; one that is not above 0 is no example,
            neither of a positive nor of a negative (except with loss=logistic).
        weights: coo in the order of `interactions`, or None.
    """

    model: Any
    users: Side
    items: Side
    user_rows: Any
    item_rows: Any
    interactions: Any
    weights: Any

    @classmethod
    def of(
        cls,
        model: Any,
        users: Side,
        items: Side,
        pairs: tuple[AnyArray, AnyArray],
        signs: Float32Array,
        weights: Float32Array | None,
    ) -> Training:
        """Return the training on `pairs`, (user idx, item idx) of the known, with their signs."""
        from scipy.sparse import coo_matrix

        # One pair of index arrays: the library matches weights and interactions by their place.
        at = (users.places[pairs[0]], items.places[pairs[1]])
        user_rows, item_rows = users.training_rows(), items.training_rows()
        shape = (user_rows.shape[0], item_rows.shape[0])
        interactions = coo_matrix((signs, at), shape=shape)
        weighted = None if weights is None else coo_matrix((weights, at), shape=shape)
        return cls(model, users, items, user_rows, item_rows, interactions, weighted)

    def epoch(self, recommender: Any) -> None:
        """Train for an epoch, with the recommender's `threads`; ConfigError when it diverges."""
        model = self.model
        try:
            with np.errstate(all="ignore"):  # divergence is reported below
                model.fit_partial(
                    self.interactions,
                    user_features=self.user_rows,
                    item_features=self.item_rows,
                    sample_weight=self.weights,
                    num_threads=recommender.threads,
                )
        except ValueError:
            require_finite(recommender, model.user_embeddings, model.item_embeddings)
            require_finite(recommender, model.user_biases, model.item_biases)
            raise

    def vectors(self) -> tuple[Float32Array, Float32Array]:
        """Return the embedding, then the bias, of every user and every item, float32."""
        model = self.model
        return (
            self.users.represent(model.user_embeddings, model.user_biases),
            self.items.represent(model.item_embeddings, model.item_biases),
        )


def parameters(model: Any) -> dict[str, Float32Array]:
    """Return what the model has learned, and what its optimizer remembers, by name."""
    used = model.learning_schedule == "adadelta"
    return {
        name: getattr(model, name) for name in PARAMETERS if used or not name.endswith("momentum")
    }


def take_up(model: Any, learned: Mapping[str, Float32Array]) -> None:
    """Let an untrained model go on from the parameters of another."""
    for name in PARAMETERS:
        found = learned.get(name)
        if found is None:  # the library insists on those it does not use, too
            found = np.zeros_like(learned[name.replace("momentum", "gradients")])
        setattr(model, name, found.copy())


def grow(model: Any, side: Literal["user", "item"], before: BoolArray, after: BoolArray) -> None:
    """Give the model an identity for each of a side that is known `after` but not `before`.

    New identities start as the library lets all start: small random embeddings, biases of 0.
    """
    kept = np.zeros(len(after), bool)
    kept[: len(before)] = before
    kept = kept[after]
    n_old, n_fresh, width = int(kept.sum()), int((~kept).sum()), model.no_components
    starts = {
        "embeddings": (model.random_state.rand(n_fresh, width) - 0.5) / width,
        "gradients": float(model.learning_schedule == "adagrad"),
    }
    for name in PARAMETERS:
        if name.startswith(side):
            old = getattr(model, name)
            identities = np.empty((len(kept), *old.shape[1:]), np.float32)
            identities[kept], identities[~kept] = old[:n_old], starts.get(name.split("_")[-1], 0.0)
            setattr(model, name, np.concatenate([identities, old[n_old:]]))
