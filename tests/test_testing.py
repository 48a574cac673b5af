"""The conformance checks pass a good recommender and catch each way of being a bad one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.testing import check_recommender


@dataclass(eq=False)
class Neighbors:
    """A recommender as an outsider would write one: users like what users like them like."""

    power: float = 1.0

    def fit(self, train: Dataset) -> Self:
        self.liked_ = train.positives().csr("ones").toarray()
        return self

    def score(self, users: Any) -> Any:
        common = (self.liked_[users] @ self.liked_.T) ** self.power
        return (common @ self.liked_).astype(np.float32)

    def state(self) -> dict[str, Any]:
        return {"liked": self.liked_}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.liked_ = state["liked"]
        return self


def test_a_good_recommender_passes() -> None:
    check_recommender(Neighbors)


class ReturnsNothing(Neighbors):
    def fit(self, train: Dataset) -> Self:
        super().fit(train)
        return None  # type: ignore[return-value]


class ChangesItself(Neighbors):
    def fit(self, train: Dataset) -> Self:
        self.power += 1
        return super().fit(train)


class Doubles(Neighbors):
    def score(self, users: Any) -> Any:
        return super().score(users).astype(np.float64)


class Undefined(Neighbors):
    def score(self, users: Any) -> Any:
        scores = super().score(users)
        return scores / scores.sum(axis=1, keepdims=True)  # 0 / 0 for a user without history


class Relative(Neighbors):
    def score(self, users: Any) -> Any:
        scores = super().score(users)
        return scores - scores.mean() if len(scores) else scores


class Unseeded(Neighbors):
    def fit(self, train: Dataset) -> Self:
        super().fit(train)
        self.liked_ = self.liked_ + np.random.default_rng().random(self.liked_.shape) / 100
        return self


class GlobalSeed(Neighbors):
    def fit(self, train: Dataset) -> Self:
        np.random.seed(1)  # noqa: NPY002
        return super().fit(train)


class GlobalDraw(Neighbors):
    def fit(self, train: Dataset) -> Self:
        random.random()
        return super().fit(train)


@dataclass(eq=False)
class Unused(Neighbors):
    shrinkage: float = 10.0


class Impersonal(Neighbors):
    def score(self, users: Any) -> Any:
        return np.tile(self.liked_.sum(axis=0) ** self.power, (len(users), 1)).astype(np.float32)


class Needy(Neighbors):
    needs = frozenset({"ratings"})


class Forgetful(Neighbors):
    def restore(self, state: Mapping[str, Any]) -> Self:
        self.liked_ = state["liked"].round() * 0.5
        return self


class Objects(Neighbors):
    def state(self) -> dict[str, Any]:
        return {"liked": self.liked_.astype(object)}


class WrongFactors(Neighbors):
    def factors(self) -> Any:
        return self.liked_.astype(np.float32), np.ones((61, 61), np.float32)


class WrongRatings(Neighbors):
    def predict(self, users: Any, items: Any) -> Any:
        return np.full(len(users), 3.0)


class DeafToHistories(Neighbors):
    def score_histories(self, histories: Any) -> Any:
        return np.zeros(histories.shape, np.float32)


class Dissimilar(Neighbors):
    def similarities(self, items: Any) -> Any:
        return -(self.liked_.T @ self.liked_)[items].astype(np.float32)


class Unordered(Neighbors):
    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        return [("item:1", 0.1), ("item:2", 0.9)]


class SetsTheTone(Neighbors):
    """Scores of histories that depend on the first of them."""

    def score_histories(self, histories: Any) -> Any:
        scores = (histories @ self.liked_.T @ self.liked_).astype(np.float32)
        return scores + scores[0, 0]


class MakesUpReasons(Neighbors):
    def explain(self, user: int, item: int, n: int) -> list[tuple[str, float]]:
        return [("item:60", 0.9)]  # nobody has item 60


@dataclass(eq=False)
class Learner(Neighbors):
    """Learns more of the same in every epoch, and learns on."""

    epochs: int = 4

    def fit(self, train: Dataset) -> Self:
        for _ in self.fit_epochs(train):
            pass
        return self

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        liked = train.positives().csr("ones").toarray()
        for epoch in range(1, self.epochs + 1):
            self.liked_ = liked * np.float32(epoch)
            yield epoch

    def partial_fit(self, new: Dataset) -> Self:
        added = new.positives().csr("ones").toarray() * np.float32(self.epochs)
        added[: self.liked_.shape[0], : self.liked_.shape[1]] += self.liked_
        self.liked_ = added
        return self


class SkipsAnEpoch(Learner):
    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        for epoch in super().fit_epochs(train):
            yield epoch + 1


class LearnsElse(Learner):
    def fit(self, train: Dataset) -> Self:
        super().fit(train)
        self.liked_ = self.liked_ * np.float32(0.5)
        return self


class KnowsTheEnd(Learner):
    """What its epochs learn depends on how many there will be."""

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        for epoch in super().fit_epochs(train):
            self.liked_ = self.liked_ * np.float32(self.epochs)
            yield epoch


class Stays(Learner):
    """Takes in no new items."""

    def partial_fit(self, new: Dataset) -> Self:
        n_items = self.liked_.shape[1]
        super().partial_fit(new)
        self.liked_ = self.liked_[:, :n_items]
        return self


class Starts(Learner):
    """Forgets what was before."""

    def partial_fit(self, new: Dataset) -> Self:
        self.liked_ = new.positives().csr("ones").toarray()
        return self


class LearnsNobodyNew(Learner):
    def partial_fit(self, new: Dataset) -> Self:
        super().partial_fit(new)
        self.liked_[-10:] = 0
        return self


class LosesItsStateOnTheWay(Learner):
    def partial_fit(self, new: Dataset) -> Self:
        super().partial_fit(new)
        self.bonus_ = 1.0 if len(new.interactions) else 0.0
        return self

    def score(self, users: Any) -> Any:
        return super().score(users) + np.float32(getattr(self, "bonus_", 0.0))


class Inexact(Learner):
    """What comes later weighs double."""

    def partial_fit(self, new: Dataset) -> Self:
        super().partial_fit(new)
        self.liked_ = self.liked_ * np.float32(2 if len(new.interactions) else 1)
        return self


@dataclass(eq=False)
class TakesAnything(Neighbors):
    mode: str = field(default="fast")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ReturnsNothing, "fit must return self"),
        (ChangesItself, "fit must not change hyperparameters"),
        (Doubles, "score must be float32 (81, 61), not float64 (81, 61)"),
        (Undefined, "score must be finite"),
        (Relative, "must not depend on who else is asked for"),
        (Unseeded, "two fits with the same hyperparameters"),
        (GlobalSeed, "global random generators were used"),
        (GlobalDraw, "global random generators were used"),
        (Unused, "shrinkage=10.0 and 20.0 give the same scores"),
        (TakesAnything, "no other value for 'fast': give one in `contexts`"),
        (Impersonal, "of checkerboard pairs right, not 90%"),
        (Needy, "data without ratings must raise DataError"),
        (Forgetful, "a restored state must give the same scores"),
        (WrongFactors, "must be score()"),
        (WrongRatings, "score() and predict() must agree"),
        (DeafToHistories, "scores of histories tell 50% of checkerboard pairs right"),
        (Dissimilar, "items of one color must be more similar"),
        (Unordered, "heaviest first"),
        (SetsTheTone, "scores of a history must not depend on who else is asked for"),
        (MakesUpReasons, "the items among the reasons must be of the user's history"),
        (SkipsAnEpoch, "fit_epochs must give 1 to 4 (its `epochs`), not [2, 3, 4, 5]"),
        (LearnsElse, "all epochs of fit_epochs must learn what fit learns"),
        (KnowsTheEnd, "stopped after n epochs it must be what fit learns with epochs=n"),
        (Stays, "score of more users and items must be float32 (81, 61), not float32 (81, 51)"),
        (Starts, "new users and items without interactions must not change other scores"),
        (LearnsNobodyNew, "after partial_fit the scores of new users tell 50%"),
        (LosesItsStateOnTheWay, "a state after partial_fit must give the same scores"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_bad_recommender_is_caught(make: Any, message: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_recommender(make)
    assert message in str(error.value)
    assert str(error.value).startswith(("no other", make.__name__))


def test_a_state_of_python_objects_is_caught() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        check_recommender(Objects)


def test_a_learner_that_is_not_exact_is_caught() -> None:
    check_recommender(Learner)
    with pytest.raises(AssertionError, match="must learn what fit learns of everything"):
        check_recommender(Inexact, exact=True)


def test_what_is_declared_is_let_through() -> None:
    check_recommender(Impersonal, personal=False)
    check_recommender(Unused, inert=("shrinkage",))
