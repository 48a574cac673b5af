"""What those who learn in epochs, or learn on, must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recexp.algorithms.base import HasState, Iterative, PartialFit, hyperparameters
from recexp.arrays import BoolArray, Float32Array
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.testing.expectations import (
    Trial,
    all_scores,
    check_matrix,
    check_solved,
    expect,
    outcome,
    restored,
    same,
)

_N_LATE = 10
"""So many users, and so many items, come after the first training."""


def _check_iterative(trial: Trial) -> None:
    """All epochs are `fit`, one less is `fit` with one less, and it scores in between."""
    model, data = trial.make(), trial.data
    counts = []
    for count in model.fit_epochs(data):
        counts.append(count)
        check_matrix(model, all_scores(model, data), trial.board.liked.shape, "score in training")
    right = counts == list(range(1, model.epochs + 1))
    expect(right, model, f"fit_epochs must give 1 to {model.epochs} (its `epochs`), not {counts}")
    alike = same(outcome(model, data), outcome(trial.model, data))
    expect(alike, model, "all epochs of fit_epochs must learn what fit learns, to the last bit")
    if "epochs" in hyperparameters(model) and model.epochs > 1:
        stopped, fewer = trial.make(), replace(trial.make(), epochs=model.epochs - 1)
        epochs = stopped.fit_epochs(data)
        for _ in range(model.epochs - 1):
            next(epochs)
        alike = same(outcome(stopped, data), outcome(fewer.fit(data), data))
        epochs.close()
        expect(alike, model, "stopped after n epochs it must be what fit learns with epochs=n")


def _check_partial_fit(trial: Trial) -> None:
    """The late users and items are learned, nothing is lost, and the state can learn on, too."""
    early, late = _divided(trial.data)
    model: Any = trial.make().fit(early)
    before = all_scores(model, early)
    setting = hyperparameters(model)
    nothing = late.with_interactions(late.interactions.select(np.empty(0, np.int64)))
    other: Any = restored(model, trial.make) if _has_state(model) else None
    expect(model.partial_fit(nothing) is model, model, "partial_fit must return self")
    shape = trial.board.liked.shape
    scores = all_scores(model, late)
    check_matrix(model, scores, shape, "score of more users and items")
    kept = np.array_equal(scores[:-_N_LATE, :-_N_LATE], before)
    expect(kept, model, "new users and items without interactions must not change other scores")

    model.partial_fit(late)
    expect(hyperparameters(model) == setting, model, "partial_fit must not change hyperparameters")
    scores = all_scores(model, late)
    check_matrix(model, scores, shape, "score after partial_fit")
    if trial.personal:
        _check_learned(trial, scores)
    if trial.exact:
        alike = same(outcome(model, late), outcome(trial.model, late))
        expect(alike, model, "partial_fit must learn what fit learns of everything, bit for bit")
    if _has_state(model):
        again = restored(model, trial.make)
        alike = same(outcome(model, late), outcome(again, late))
        expect(alike, model, "a state after partial_fit must give the same scores when restored")
        other.partial_fit(nothing).partial_fit(late)
        alike = same(outcome(model, late), outcome(other, late))
        expect(alike, model, "a restored state must learn on as the original does")


def _has_state(model: object) -> bool:
    return isinstance(model, HasState)


def _check_learned(trial: Trial, scores: Float32Array) -> None:
    """Early and late users and items are told apart, and so is what was just said of them."""
    late_user, late_item = (np.arange(n) >= n - _N_LATE for n in scores.shape)
    regions = {
        "the users and items of the first training": ~late_user[:, None] & ~late_item,
        "new users": late_user[:, None] & ~late_item,
        "new items": ~late_user[:, None] & late_item,
    }
    for what, region in regions.items():
        share = trial.board.solved(scores, region)
        check_solved(trial.model, share, f"after partial_fit the scores of {what}")


def _divided(whole: Dataset) -> tuple[Dataset, Dataset]:
    """The data without the last users and items, and the rest of the interactions."""
    rows = whole.interactions
    n_users, n_items = whole.n_users - _N_LATE, whole.n_items - _N_LATE
    early: BoolArray = (rows.user_idx < n_users) & (rows.item_idx < n_items)
    assert rows.timestamp is not None
    smaller = Interactions(
        rows.user_idx[early],
        rows.item_idx[early],
        rows.value[early],
        rows.timestamp[early],
        n_users,
        n_items,
    )
    return (
        replace(
            whole,
            interactions=smaller,
            users=IdMap(whole.users.ids[:n_users]),
            items=IdMap(whole.items.ids[:n_items]),
            user_features=_first(whole.user_features, n_users),
            item_features=_first(whole.item_features, n_items),
            user_columns=_cut(whole.user_columns, n_users),
            item_columns=_cut(whole.item_columns, n_items),
        ),
        whole.with_interactions(rows.select(~early)),
    )


def _first(features: Features | None, n: int) -> Features | None:
    return None if features is None else features.rows(np.arange(n))


def _cut(columns: Mapping[str, tuple[Any, ...]], n: int) -> dict[str, tuple[Any, ...]]:
    return {name: column[:n] for name, column in columns.items()}


LEARNING: dict[Any, Callable[[Trial], None]] = {
    Iterative: _check_iterative,
    PartialFit: _check_partial_fit,
}
"""The check of each protocol."""
