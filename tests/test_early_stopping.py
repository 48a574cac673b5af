"""Training stops when the validation part says so, and learns anew for the best of its epochs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from recexp.algorithms.lightfm import LightFM
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.surprise.factors import SVD
from recexp.data.dataset import Dataset
from recexp.early_stopping import EarlyStopping, check_stoppable, measure_objective
from recexp.errors import ConfigError
from recexp.experiment import run
from recexp.splits.base import Split
from recexp.splits.random import random


@dataclass(eq=False)
class Planned:
    """Learns one more in every epoch."""

    epochs: int = 10

    def fit(self, train: Dataset) -> Self:
        self.learned_ = self.epochs
        return self

    def fit_epochs(self, train: Dataset) -> Iterator[int]:
        for epoch in range(1, self.epochs + 1):
            self.learned_ = epoch
            yield epoch

    def score(self, users: Any) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def split(synthetic: Dataset) -> Split:
    return random(synthetic, np.random.default_rng(0))


def watched(
    values: list[float], split: Split, objective: str = "ndcg@10", **options: int
) -> tuple[list[int], int]:
    """The epochs looked at when they are worth `values`, and the best."""
    stopping = EarlyStopping(**options)
    model = Planned(epochs=len(values))
    curve = stopping.watch(model, split, objective, lambda one, _: values[one.learned_ - 1])  # type: ignore[attr-defined]
    return [point.epochs for point in curve.points], curve.best.epochs


def test_it_stops_after_so_many_epochs_without_a_new_best(split: Split) -> None:
    values = [0.1, 0.3, 0.2, 0.3, 0.25, 0.9]
    assert watched(values, split, patience=3) == ([1, 2, 3, 4, 5], 2)  # a tie is no new best
    assert watched(values, split, patience=4) == ([1, 2, 3, 4, 5, 6], 6)


def test_looking_less_often_still_sees_the_last_epoch(split: Split) -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert watched(values, split, patience=5, every=2) == ([2, 4, 5], 5)
    assert watched([0.9, 0.5, 0.1, 0.4, 0.3, 0.2, 0.9], split, patience=2, every=2) == ([2, 4], 2)


def test_errors_are_better_when_they_are_lower(split: Split) -> None:
    values = [1.2, 1.0, 1.1, 1.05]
    assert watched(values, split, "rmse", patience=2) == ([1, 2, 3, 4], 2)


def test_an_objective_that_is_never_a_number_is_refused(split: Split) -> None:
    with pytest.raises(ConfigError, match="ndcg@10 is not a number in any epoch"):
        watched([float("nan")] * 3, split, patience=2)
    assert watched([float("nan"), 0.1, 0.2], split, patience=2) == ([1, 2, 3], 3)


@pytest.mark.parametrize("objective", ["ndcg@10", "auc", "coverage@5", "rmse"])
def test_the_objective_is_the_one_of_a_run(objective: str, tmp_path: Path) -> None:
    result = run(
        *("algo=popularity", "dataset=synthetic", "split=random", "tracking=none", "plots=false"),
        *(f"objective={objective}", f"output_dir={tmp_path}"),
    )
    found = measure_objective(
        Popularity().fit(result.outcome.split.train), result.outcome.split, objective
    )
    assert found == pytest.approx(result.metrics[objective.replace("@", "_at_")], rel=1e-12)


def test_a_run_learns_as_long_as_was_best_for_validation(tmp_path: Path) -> None:
    result = run(
        *("algo=lightfm", "algo.n_factors=8", "algo.epochs=30", "dataset=synthetic"),
        *("split=random", "split@validation=random", "tracking=none", "plots=false"),
        *("early_stopping.patience=3", f"output_dir={tmp_path}"),
    )
    curve = result.outcome.early_stopping
    assert curve is not None
    assert result.folder is not None
    with (result.folder / "early_stopping.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epochs", "ndcg@10"]
    values = [float(value) for _, value in rows[1:]]
    best = int(np.argmax(values)) + 1
    assert len(values) in (best + 3, 30)
    assert result.metrics["early_stopping/epochs"] == best == curve.best.epochs
    assert result.metrics["val/ndcg_at_10"] == pytest.approx(max(values), rel=1e-12)
    users = np.arange(10, dtype=np.int32)
    by_hand = LightFM(n_factors=8, epochs=best).fit(result.outcome.split.train)
    scores = result.outcome.recommender.score(users)
    np.testing.assert_array_equal(scores, by_hand.score(users))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["algo=svd", "validation=same"],
            r"early_stopping: SVD cannot be looked at between epochs",
        ),
        (["algo=als"], r"early_stopping needs a validation part: add split@validation=random"),
        (["algo=als", "validation=same", "objective=ndcg"], r"needs one number, such as ndcg@10"),
        (["algo=als", "validation=same", "early_stopping.every=0"], r"early_stopping.every=0"),
        (["algo=als", "early_stopping.patiense=2"], r"did you mean 'early_stopping.patience'"),
    ],
)
def test_what_cannot_be_stopped_early_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("dataset=synthetic", "early_stopping.patience=2", *overrides)


def test_patience_is_at_least_one() -> None:
    with pytest.raises(ConfigError, match=r"early_stopping.patience=0: expected a whole number"):
        EarlyStopping(patience=0)
    with pytest.raises(ConfigError, match="SVD"):
        check_stoppable(SVD(), "ndcg@10", True)
