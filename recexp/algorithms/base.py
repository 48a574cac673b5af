"""The contract of a recommender, and what one may offer beyond it.

A recommender is a dataclass: its fields are its hyperparameters, each written once with its
default, checked in `__post_init__` and never changed afterwards. `fit` learns attributes that end
in `_` and returns self. Nothing else is promised: ranking, filtering of seen items, fallbacks,
evaluation, recording and randomness (a `seed` field where the method draws) are not its business.

What a recommender can do beyond `fit` and `score` it says by having the methods of one of the
protocols below; whoever wants a capability asks with `isinstance`.

Interactions that come after training are met in one of two ways. `FoldIn` answers a history that
is handed over with the question, and forgets it. `PartialFit` learns: users, items and
interactions become part of the model, as large as the new dataset says. What `partial_fit` learns
from is the new interactions alone; whatever else it needs of the old ones the model has kept.
Some algorithms learn exactly what `fit` would have from all of them at once (counts), others move
to where the new ones lead (factors); each says which, and what it does with a user or an item
that it has not seen. Time goes on: what fades with age (`half_life_days`) counts back from the
latest interaction of either. Methods of which neither is true, because what they have learned of
the old interactions cannot be told apart any more, do not offer it: they are fitted anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from recexp.arrays import Float32Array, FloatArray, IdxArray, Sparse
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError, placed


@runtime_checkable
class Recommender(Protocol):
    """What every algorithm is: something that learns and scores."""

    def fit(self, train: Dataset) -> Self:
        """Learn from the training part; the object is new and fitted once."""
        ...

    def score(self, users: IdxArray) -> Float32Array:
        """Return scores, float32 (len(users), n_items): larger is better, -inf means never.

        `users` are idx of the dataset; some may have no training interaction. Finite or -inf.
        Several threads may ask at once.
        """
        ...


@runtime_checkable
class StatesNeeds(Protocol):
    """Says what its training data must have, so that a run can refuse before it splits."""

    @property
    def needs(self) -> frozenset[str]:
        """Names among `ratings`, `timestamps`, `item_features`, `user_features`, `item:COLUMN`."""
        ...


@runtime_checkable
class StatesMemory(Protocol):
    """Says when data is too large for it, so that a run can refuse before it splits."""

    def check_memory(self, train: Dataset) -> None:
        """Raise DataError when learning from `train` takes more memory than there is."""
        ...


class Source(IntEnum):
    """How a user's scores were made."""

    MODEL = 0
    """learned from the user's own training interactions, or the same for everybody by design"""
    FEATURES = 1
    """from the user's side features alone"""
    FOLD_IN = 2
    """from a history given after training"""
    FALLBACK = 3
    """not by this algorithm: it has nothing to say of this user, so popularity answers"""


@runtime_checkable
class StatesSource(Protocol):
    """Says how it answers each user.

    Without this protocol, users with a training interaction count as MODEL, others as FALLBACK.
    """

    def source(self, users: IdxArray) -> NDArray[np.uint8]:
        """Return a `Source` for each user, uint8."""
        ...


@runtime_checkable
class StatesDeterminism(Protocol):
    """Says whether another fit with the same seed gives the same scores; without it, it does."""

    @property
    def deterministic(self) -> bool:
        """Whether these hyperparameters (such as one thread) make training repeatable."""
        ...


@runtime_checkable
class FactorModel(Protocol):
    """Scores that are one matrix product: `score(users) == user_factors[users] @ item_factors.T`.

    Biases are columns of the factors. Ranking then multiplies and selects block by block.
    """

    def factors(self) -> tuple[Float32Array, Float32Array]:
        """Return (n_users, d) and (n_items, d), float32, C-contiguous."""
        ...


@runtime_checkable
class PredictsRatings(Protocol):
    """Predicts ratings on the scale of the data."""

    def predict(self, users: IdxArray, items: IdxArray) -> FloatArray:
        """Return the predicted rating of each pair, float64, not clipped; NaN where impossible."""
        ...


@runtime_checkable
class FoldIn(Protocol):
    """Scores users it was not fitted on, from their histories.

    A history scores the same whoever else is asked for; one without interactions gets what the
    algorithm knows of nobody in particular. Nothing is learned: the model stays as it is.
    """

    def score_histories(self, histories: Sparse) -> Float32Array:
        """Return scores, float32 (n_histories, n_items), of a csr (n_histories, n_items).

        The csr has the values of the interactions, all of them: the algorithm chooses those that
        it learns from, as in training.
        """
        ...


@runtime_checkable
class PartialFit(Protocol):
    """Goes on learning from what came after the data it was fitted on."""

    def partial_fit(self, new: Dataset) -> Self:
        """Learn from the interactions of `new` alone and return self.

        `new` numbers users and items as the training data did and may have more of both, also
        such without an interaction; afterwards there are `new.n_users` and `new.n_items`. Its side
        features have a row for everybody and the columns of training. May be called any number of
        times, and after `restore`. Raises DataError for what it cannot take.
        """
        ...


@runtime_checkable
class Iterative(Protocol):
    """Learns in epochs, so that whoever trains it may look on and stop.

    Stopped after n epochs, it is what `fit` makes with `epochs=n`.
    """

    @property
    def epochs(self) -> int:
        """How many epochs `fit` learns."""
        ...

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        """Learn epoch by epoch, at most `epochs`, giving the number learned; it scores after each.

        All of them learn what `fit` learns, bit for bit.
        """
        ...


@runtime_checkable
class SimilarItems(Protocol):
    """Compares items."""

    def similarities(self, items: IdxArray) -> Float32Array:
        """Return the similarity of each of `items` to every item, float32 (len(items), n_items)."""
        ...


@runtime_checkable
class Explains(Protocol):
    """Gives reasons."""

    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        """Return at most `n` (reason, weight) pairs, heaviest first.

        A reason is `item:IDX` (an item of the user's history) or `term:TEXT`.
        """
        ...


@runtime_checkable
class HasState(Protocol):
    """Becomes arrays and plain values, and comes back to give bit-identical scores."""

    def state(self) -> dict[str, Any]:
        """Return what was learned: numpy arrays, csr arrays, and plain JSON values by name."""
        ...

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Take up a state made by `state()` of an object with the same hyperparameters."""
        ...


def hyperparameters(recommender: Any) -> dict[str, Any]:
    """Return the hyperparameters of a recommender by name, in the order they are written."""
    return {field.name: getattr(recommender, field.name) for field in fields(recommender)}


def parts(recommender: Any) -> Iterator[tuple[str, Recommender]]:
    """Yield the recommenders among the hyperparameters of one, by their keys (`members.first`)."""
    named = hyperparameters(recommender) if is_dataclass(recommender) else {}
    for name, value in named.items():
        if isinstance(value, Recommender):
            yield name, value
        elif isinstance(value, Mapping):
            for key, one in value.items():
                if isinstance(one, Recommender):
                    yield f"{name}.{key}", one


def require(condition: bool, recommender: Any, name: str, expected: str) -> None:
    """Raise ConfigError unless `condition` holds for the hyperparameter `name`.

    >>> require(False, type("EASE", (), {"regularization": -1})(), "regularization", "> 0")
    Traceback (most recent call last):
    recexp.errors.ConfigError: algo.regularization=-1: EASE expects > 0
    """
    if not condition:
        value = getattr(recommender, name)
        raise ConfigError(f"algo.{name}={value}: {type(recommender).__name__} expects {expected}")


def check_memory(recommender: Any, dataset: Dataset) -> None:
    """Raise DataError when `dataset` is too large for `recommender`; known before it is split."""
    for key, part in parts(recommender):
        with placed(f"algo.{key}"):
            check_memory(part, dataset)
    if isinstance(recommender, StatesMemory):
        recommender.check_memory(dataset)


def check_needs(recommender: Any, dataset: Dataset) -> None:
    """Raise DataError when `dataset` lacks what `recommender` says it needs, or is too large."""
    for key, part in parts(recommender):
        with placed(f"algo.{key}"):
            check_needs(part, dataset)
    for need in sorted(recommender.needs) if isinstance(recommender, StatesNeeds) else ():
        kind, _, column = need.partition(":")
        has, advice = {
            "ratings": (
                dataset.explicit,
                "set dataset.columns.rating, or use an algorithm for interactions without "
                "ratings, such as algo=lightfm or algo=popularity",
            ),
            "timestamps": (
                dataset.interactions.timestamp is not None,
                "set dataset.columns.timestamp, or leave out the options that count days",
            ),
            "item_features": (dataset.item_features is not None, _ADD_FEATURES),
            "user_features": (dataset.user_features is not None, _ADD_FEATURES),
            "item": (
                column in dataset.item_columns,
                f"choose among the columns it has ({', '.join(sorted(dataset.item_columns))})"
                if dataset.item_columns
                else "use a dataset that describes its items, or an algorithm without text",
            ),
        }[kind]
        if not has:
            lacks = f"item column '{column}'" if column else kind.replace("_", " ")
            name = type(recommender).__name__
            raise DataError(f"{dataset.name} has no {lacks}, which {name} needs: {advice}")
    if isinstance(recommender, StatesMemory):
        recommender.check_memory(dataset)


_ADD_FEATURES = "use a dataset that has them, or an algorithm that needs none"


def deterministic(recommender: Any) -> bool:
    """Return whether fits with the same seed give the same scores, of all parts if it has some."""
    own = not isinstance(recommender, StatesDeterminism) or recommender.deterministic
    return own and all(deterministic(part) for _, part in parts(recommender))


def sources(recommender: Recommender, users: IdxArray, train: Dataset) -> NDArray[np.uint8]:
    """Return how each of `users` is answered, uint8 (see `Source`)."""
    if isinstance(recommender, StatesSource):
        return recommender.source(users)
    known = train.interactions.user_counts()[users] > 0
    return np.where(known, Source.MODEL, Source.FALLBACK).astype(np.uint8)
