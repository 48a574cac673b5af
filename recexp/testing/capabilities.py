"""What each capability must do, except learning on (see `learning`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from recexp.algorithms.base import (
    Explains,
    FactorModel,
    FoldIn,
    HasState,
    PredictsRatings,
    SimilarItems,
)
from recexp.testing.expectations import (
    Trial,
    all_pairs,
    all_scores,
    check_matrix,
    check_solved,
    expect,
    outcome,
    restored,
    same,
)


def _check_factors(trial: Trial) -> None:
    model, board = trial.model, trial.board
    users, items = model.factors()
    scores = all_scores(model, board.dataset)
    check_matrix(model, users, (len(scores), users.shape[1]), "user factors")
    check_matrix(model, items, (scores.shape[1], users.shape[1]), "item factors")
    agree = np.allclose(users @ items.T, scores, rtol=1e-4, atol=1e-4)
    expect(agree, model, "the product of factors() must be score()")


def _check_predictions(trial: Trial) -> None:
    model, board = trial.model, trial.board
    predicted = model.predict(*all_pairs(board.dataset))
    scores = all_scores(model, board.dataset).ravel()
    right = predicted.shape == scores.shape and predicted.dtype == np.float64
    expect(right, model, "predict must return float64, one rating a pair")
    possible = ~np.isnan(predicted)
    expect(bool(possible.any()), model, "predict gave no rating at all")
    agree = np.allclose(predicted[possible], scores[possible], rtol=1e-4, atol=1e-4)
    expect(agree, model, "score() and predict() must agree where there is a rating")


def _check_fold_in(trial: Trial) -> None:
    model, board = trial.model, trial.board
    histories = board.dataset.interactions.csr()
    before = all_scores(model, board.dataset)
    scores = model.score_histories(histories)
    check_matrix(model, scores, board.liked.shape, "score_histories")
    if trial.personal:
        check_solved(model, board.solved(scores), "scores of histories")
    some = np.array([3, 0])
    alone = np.allclose(model.score_histories(histories[some]), scores[some], rtol=1e-4, atol=1e-4)
    expect(alone, model, "the scores of a history must not depend on who else is asked for")
    untouched = np.array_equal(before, all_scores(model, board.dataset))
    expect(untouched, model, "score_histories must leave what was learned as it is")


def _check_similarities(trial: Trial) -> None:
    model, board = trial.model, trial.board
    warm = board.dataset.interactions.items()
    similarities = model.similarities(warm)
    check_matrix(model, similarities, (len(warm), board.dataset.n_items), "similarities")
    alike = (warm[:, None] - warm) % 2 == 0
    other = ~np.eye(len(warm), dtype=bool)
    among = similarities[:, warm]
    nearer = among[alike & other].mean() > among[~alike].mean()
    expect(bool(nearer), model, "items of one color must be more similar than others")


def _check_explanations(trial: Trial) -> None:
    model, board = trial.model, trial.board
    reasons = model.explain(0, 2, 3)
    weights = [weight for _, weight in reasons]
    right = 0 < len(reasons) <= 3 and weights == sorted(weights, reverse=True)
    expect(right, model, f"explain(0, 2, 3) must give 1 to 3 reasons, heaviest first: {reasons}")
    pairs = [reason.partition(":") for reason, _ in reasons]
    named = {kind for kind, _, _ in pairs} <= {"item", "term"}
    expect(named, model, f"reasons are item:IDX or term:TEXT, not {reasons}")
    history = set(map(str, board.dataset.interactions.csr()[[0]].indices.tolist()))
    own = {what for kind, _, what in pairs if kind == "item"} <= history
    expect(own, model, f"the items among the reasons must be of the user's history: {reasons}")


def _check_state(trial: Trial) -> None:
    again = restored(trial.model, trial.make)
    alike = same(outcome(trial.model, trial.data), outcome(again, trial.data))
    expect(alike, trial.model, "a restored state must give the same scores to the last bit")


CAPABILITIES: dict[Any, Callable[[Trial], None]] = {
    FactorModel: _check_factors,
    PredictsRatings: _check_predictions,
    FoldIn: _check_fold_in,
    SimilarItems: _check_similarities,
    Explains: _check_explanations,
    HasState: _check_state,
}
"""The check of each protocol."""
