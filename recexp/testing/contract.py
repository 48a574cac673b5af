"""The checks that every recommender is put through."""

from __future__ import annotations

import random
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recexp.algorithms.base import Recommender, Source, StatesNeeds, hyperparameters, sources
from recexp.data.checkerboard import Checkerboard, checkerboard
from recexp.data.dataset import Dataset
from recexp.errors import DataError
from recexp.testing.capabilities import CAPABILITIES
from recexp.testing.expectations import (
    Trial,
    all_scores,
    check_matrix,
    check_solved,
    expect,
    outcome,
    same,
)
from recexp.testing.learning import LEARNING


def check_recommender(
    make: Callable[[], Recommender],
    *,
    personal: bool = True,
    exact: bool = False,
    inert: Collection[str] = ("threads",),
    contexts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Raise AssertionError unless the recommenders that `make` returns keep the contract.

    Args:
        make: returns a new recommender, such as its class.
        personal: whether it tells one user's taste from another's; then it must solve a
            checkerboard: tell 9 in 10 pairs right of users and items of two colors, who like
            their own and have rated two thirds of each other.
        exact: whether `partial_fit` learns what `fit` would have learned of everything at once.
        inert: hyperparameters that do not change scores.
        contexts: for a hyperparameter that only matters together with others, what to set
            (`{"kos_k": {"loss": "warp-kos"}}`); may also name the value to compare with.

    Every recommender, `fit` and `score`:

    - `fit` returns self and leaves the hyperparameters as they were.
    - Scores are float32 (len(users), n_items), finite or -inf, also for users and items without
      interactions; those of a user do not depend on who else is asked for.
    - Two fits with the same hyperparameters give the same scores, to the last bit, and the global
      random generators are left alone: draw from a generator of your own `seed`.
    - Every hyperparameter matters: another value gives other scores, ratings or sources.
    - Data without ratings is learned from, or refused with DataError where `needs` has `ratings`.
    - A personal one solves the checkerboard.

    And what a protocol of `recexp.algorithms.base` promises, of those whose methods it has:

    - `StatesSource`: `source` returns `Source` values as uint8.
    - `FactorModel`: the product of `factors()`, float32, is `score`.
    - `PredictsRatings`: `predict` returns float64, NaN where impossible, elsewhere as `score`.
    - `FoldIn`: `score_histories` returns float32 scores that do not depend on who else is asked
      for, solves the checkerboard from histories alone, and changes nothing.
    - `SimilarItems`: items of one color are more similar, on average, than others.
    - `Explains`: at most n reasons, heaviest first, `term:TEXT` or `item:IDX` of the history.
    - `Iterative`: `fit_epochs` gives 1, 2, ... to `epochs` and can score after each; all epochs
      are `fit`, and the first n are `fit` with `epochs=n`, to the last bit.
    - `PartialFit`: after a training without the last 10 users and items, `partial_fit` returns
      self and grows to all of them. Without interactions it changes no other score; with theirs a
      personal one solves the checkerboard for the old pairs, the new users and the new items; an
      `exact` one equals a fit on everything, to the last bit.
    - `HasState`: `state` is arrays, csr arrays and JSON values, which survive files without
      pickle; `restore` of them gives the same scores to the last bit, also after `partial_fit`,
      and learns on as the original does.
    """
    board, implicit = checkerboard(), checkerboard(ratings=False)
    model = make()
    _check_fit(model, board.dataset)
    _check_scores(model, board)
    _check_repeatable(make, model, board.dataset)
    _check_hyperparameters(make, board.dataset, inert, contexts or {})
    _check_without_ratings(make, implicit, personal)
    if personal:
        check_solved(model, board.solved(all_scores(model, board.dataset)), "scores")
    trial = Trial(make, model, board, personal, exact)
    for capability, check in (CAPABILITIES | LEARNING).items():
        if isinstance(model, capability):
            check(trial)


def _check_fit(model: Recommender, train: Dataset) -> None:
    before = hyperparameters(model)
    expect(model.fit(train) is model, model, "fit must return self")
    expect(hyperparameters(model) == before, model, "fit must not change hyperparameters")


def _check_scores(model: Recommender, board: Checkerboard) -> None:
    n_users, n_items = board.liked.shape
    scores = all_scores(model, board.dataset)
    check_matrix(model, scores, (n_users, n_items), "score")
    some = np.array([n_users - 1, 0, 3], np.int32)
    alone = np.allclose(model.score(some), scores[some], rtol=1e-4, atol=1e-5)
    expect(alone, model, "a user's scores must not depend on who else is asked for")
    check_matrix(model, model.score(some[:0]), (0, n_items), "score of no users")
    given = sources(model, some, board.dataset)
    known = given.dtype == np.uint8 and set(given.tolist()) <= set(Source)
    expect(known, model, f"source must return Source values as uint8, not {given!r}")


def _check_repeatable(make: Callable[[], Recommender], model: Recommender, train: Dataset) -> None:
    # Only now, since importing a library may draw from them; moved on, since the first fit may
    # have set them to what the second one will.
    np.random.random(), random.random()  # noqa: NPY002
    global_state = _global_generators()
    again = all_scores(make().fit(train), train)
    untouched = _global_generators() == global_state
    expect(untouched, model, "the global random generators were used; take a seed instead")
    alike = np.array_equal(again, all_scores(model, train))
    expect(alike, model, "two fits with the same hyperparameters must give the same scores")


def _check_hyperparameters(
    make: Callable[[], Recommender],
    train: Dataset,
    inert: Collection[str],
    contexts: Mapping[str, Mapping[str, Any]],
) -> None:
    hints = typing.get_type_hints(type(make()))
    for name in hyperparameters(make()).keys() - set(inert):
        context = dict(contexts.get(name, {}))
        value = context.pop(name, None)
        base: Any = replace(make(), **context)  # type: ignore[type-var]
        if value is None:
            value = _another(getattr(base, name), hints[name])
        other = replace(base, **{name: value})
        alike = same(outcome(base.fit(train), train), outcome(other.fit(train), train))
        found = f"{name}={getattr(base, name)!r} and {value!r} give the same scores"
        advice = "use it, remove it, or name it in `inert` or `contexts`"
        expect(not alike, base, f"{found}: {advice}")


def _another(value: Any, hint: Any) -> Any:
    """A value that differs from `value` and is accepted where that is."""
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return choices[(choices.index(value) + 1) % len(choices)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return 2 * value if value else value + 1
    if isinstance(value, tuple) and len(value) > 1:
        return value[:-1]
    raise AssertionError(f"no other value for {value!r}: give one in `contexts`")


def _check_without_ratings(
    make: Callable[[], Recommender], board: Checkerboard, personal: bool
) -> None:
    model = make()
    needs = model.needs if isinstance(model, StatesNeeds) else frozenset()
    if "ratings" not in needs:
        scores = all_scores(model.fit(board.dataset), board.dataset)
        check_matrix(model, scores, board.liked.shape, "score")
        if personal:
            check_solved(model, board.solved(scores), "scores learned without ratings")
        return
    try:
        model.fit(board.dataset)
    except DataError:
        return
    expect(False, model, "data without ratings must raise DataError where `needs` has `ratings`")


def _global_generators() -> tuple[Any, ...]:
    return repr(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002
