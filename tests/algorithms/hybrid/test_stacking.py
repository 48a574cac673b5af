"""Learned weights: the optimum, what is held out, and what it brings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from scipy.special import logsumexp

from recexp.algorithms.ease import EASE
from recexp.algorithms.hybrid.choice import conditional_logit
from recexp.algorithms.hybrid.stacking import Stacking
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.random import Random
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.rng import derive


def test_the_weights_are_the_maximum_of_the_penalized_likelihood() -> None:
    """The gradient, by finite differences of the formula written out, is 0 there."""
    rng = derive(5, "choices")
    group = np.repeat(np.arange(30), rng.integers(2, 9, 30))
    x = rng.normal(size=(len(group), 3))
    chosen = rng.random(len(group)) < 1 / (1 + np.exp(1 - x @ [1.0, 2.0, 0.5]))
    found = conditional_logit(x, chosen, group, 0.7)

    def gain(w: Any) -> float:
        total = -0.7 / 2 * float((w - 1) @ (w - 1))
        for one in np.unique(group):
            its = group == one
            if chosen[its].any():
                utility = x[its] @ w
                total += float((utility - logsumexp(utility))[chosen[its]].mean())
        return total

    for step in 1e-4 * np.eye(3):
        assert abs(gain(found + step) - gain(found - step)) / 2e-4 < 1e-4
    assert gain(found) > gain(np.ones(3))


def test_two_equal_alternatives_are_a_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = derive(6, "choices")
    first, second = rng.normal(size=(2, 200, 2))
    wins = rng.random(200) < 1 / (1 + np.exp(-(first - second) @ [2.0, 0.7]))
    x = np.stack([first, second], axis=1).reshape(400, 2)
    chosen = np.stack([wins, ~wins], axis=1).ravel()
    found = conditional_logit(x, chosen, np.repeat(np.arange(200), 2), 1e-6)
    library = LogisticRegression(fit_intercept=False, C=1e6, tol=1e-10)
    library.fit(first - second, wins)
    np.testing.assert_allclose(found, library.coef_[0], atol=1e-4)


def test_weights_are_not_negative_and_equal_without_evidence() -> None:
    x = np.array([[1.0, 0.0], [0.0, 1.0]] * 50)
    group, first = np.repeat(np.arange(50), 2), np.tile([True, False], 50)
    good, bad = conditional_logit(x, first, group, 0.01)
    assert good > 1
    assert bad == 0
    assert conditional_logit(x, np.ones(100, bool), group, 1.0) == pytest.approx([1.0, 1.0])


@dataclass(eq=False)
class Spy:
    """Remembers what it was fitted on."""

    taste: int = 0
    seen: ClassVar[list[Dataset]] = field(default=[])  # type: ignore[assignment]

    def fit(self, train: Dataset) -> Self:
        Spy.seen.append(train)
        self.scores_ = derive(self.taste, "spy").random((train.n_users, train.n_items))
        return self

    def score(self, users: Any) -> Any:
        return self.scores_[users].astype(np.float32)


def test_members_learn_from_the_rest_then_from_everything(synthetic: Dataset) -> None:
    Spy.seen.clear()
    Stacking({"a": Spy(1), "b": Spy(2)}, validation_fraction=0.3).fit(synthetic)
    first, second, *again = Spy.seen
    assert first is second
    assert again == [synthetic, synthetic]
    rest, everything = first.interactions, synthetic.interactions
    assert 0.65 < len(rest) / len(everything) < 0.75
    assert not (rest.csr("ones") > everything.csr("ones")).nnz
    Spy.seen.clear()
    Stacking({"a": Spy(1), "b": Spy(2)}, validation_fraction=0.3, seed=43).fit(synthetic)
    assert not np.array_equal(Spy.seen[0].interactions.item_idx[:50], rest.item_idx[:50])


def test_what_predicts_weighs_more_than_chance(synthetic: Dataset) -> None:
    members = {"chance": Random(), "ease": EASE(regularization=50.0), "most": Popularity()}
    model = Stacking(members).fit(synthetic)
    chance, ease, _ = model.weights_
    assert abs(chance) < 0.25 * ease
    again = Stacking(members).fit(synthetic)
    np.testing.assert_array_equal(model.weights_, again.weights_)


def test_data_that_teach_no_weights_are_refused(synthetic: Dataset) -> None:
    low = replace(synthetic, relevance_threshold=5.5)
    model = Stacking({"a": Popularity(positive_threshold=1.0), "b": Random()})
    with pytest.raises(DataError, match="0 positive interactions that Stacking held out"):
        model.fit(low)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 1.0}, "algo.validation_fraction=1.0: Stacking expects"),
        ({"n_candidates": 0}, "algo.n_candidates=0"),
        ({"regularization": 0.0}, "algo.regularization=0.0"),
        ({"normalize": "max"}, "algo.normalize=max"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Stacking({"a": Random(), "b": Popularity()}, **options)
