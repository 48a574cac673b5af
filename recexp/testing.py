"""The contract of a recommender as checks that anyone's algorithm can be put through.

    def test_my_model_conforms():
        check_recommender(MyModel)

Every check raises AssertionError with what was found and what the contract says.
"""

from __future__ import annotations

import io
import json
import random
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recexp.algorithms.base import (
    Explains,
    FactorModel,
    FoldIn,
    HasState,
    PredictsRatings,
    Recommender,
    SimilarItems,
    Source,
    StatesNeeds,
    hyperparameters,
    sources,
)
from recexp.arrays import Float32Array, IdxArray
from recexp.data.checkerboard import Checkerboard, checkerboard
from recexp.data.dataset import Dataset
from recexp.errors import DataError


def check_recommender(
    make: Callable[[], Recommender],
    *,
    personal: bool = True,
    inert: Collection[str] = ("threads",),
    contexts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Raise AssertionError unless the recommenders that `make` returns keep the contract.

    Args:
        make: returns a new recommender, such as its class.
        personal: whether it tells one user's taste from another's; then it must solve a
            checkerboard (tell 9 in 10 pairs right).
        inert: hyperparameters that do not change scores.
        contexts: for a hyperparameter that only matters together with others, what to set
            (`{"kos_k": {"loss": "warp-kos"}}`); may also name the value to compare with.

    Checked: `fit` returns self and leaves hyperparameters as they were; scores have the right
    shape and dtype and are finite or -inf, also for users without interactions; the same seed
    gives the same scores, and the global generators are left alone; every hyperparameter matters;
    data without ratings is either learned from or refused with DataError, as `needs` says; and
    each capability it has (see `recexp.algorithms.base`) does what its protocol says.
    """
    board, implicit = checkerboard(), checkerboard(ratings=False)
    model = make()
    _check_fit(model, board.dataset)
    _check_scores(model, board)
    _check_repeatable(make, model, board.dataset)
    _check_hyperparameters(make, board.dataset, inert, contexts or {})
    _check_without_ratings(make, implicit, personal)
    if personal:
        _solves(model, board.solved(_all_scores(model, board.dataset)), "scores")
    for capability, check in _CAPABILITIES.items():
        if isinstance(model, capability):
            check(model, board, personal)
    if isinstance(model, HasState):
        _check_state(make, model, board.dataset)


def _check_fit(model: Recommender, train: Dataset) -> None:
    before = hyperparameters(model)
    _expect(model.fit(train) is model, model, "fit must return self")
    _expect(hyperparameters(model) == before, model, "fit must not change hyperparameters")


def _check_scores(model: Recommender, board: Checkerboard) -> None:
    n_users, n_items = board.liked.shape
    scores = _all_scores(model, board.dataset)
    _check_matrix(model, scores, (n_users, n_items), "score")
    some = np.array([n_users - 1, 0, 3], np.int32)
    same = np.allclose(model.score(some), scores[some], rtol=1e-4, atol=1e-5)
    _expect(same, model, "a user's scores must not depend on who else is asked for")
    _check_matrix(model, model.score(some[:0]), (0, n_items), "score of no users")
    given = sources(model, some, board.dataset)
    known = given.dtype == np.uint8 and set(given.tolist()) <= set(Source)
    _expect(known, model, f"source must return Source values as uint8, not {given!r}")


def _check_repeatable(make: Callable[[], Recommender], model: Recommender, train: Dataset) -> None:
    # Only now, since importing a library may draw from them; moved on, since the first fit may
    # have set them to what the second one will.
    np.random.random(), random.random()  # noqa: NPY002
    global_state = _global_generators()
    again = _all_scores(make().fit(train), train)
    untouched = _global_generators() == global_state
    _expect(untouched, model, "the global random generators were used; take a seed instead")
    same = np.array_equal(again, _all_scores(model, train))
    _expect(same, model, "two fits with the same hyperparameters must give the same scores")


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
        alike = _same(_outcome(base.fit(train), train), _outcome(other.fit(train), train))
        found = f"{name}={getattr(base, name)!r} and {value!r} give the same scores"
        advice = "use it, remove it, or name it in `inert` or `contexts`"
        _expect(not alike, base, f"{found}: {advice}")


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


def _outcome(model: Recommender, train: Dataset) -> list[Any]:
    """Scores, predicted ratings and sources: what hyperparameters may change."""
    users = np.arange(train.n_users, dtype=np.int32)
    outcome: list[Any] = [model.score(users), sources(model, users, train)]
    if isinstance(model, PredictsRatings):
        outcome.append(model.predict(*_all_pairs(train)))
    return outcome


def _same(ones: list[Any], others: list[Any]) -> bool:
    pairs = zip(ones, others, strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def _check_without_ratings(
    make: Callable[[], Recommender], board: Checkerboard, personal: bool
) -> None:
    model = make()
    needs = model.needs if isinstance(model, StatesNeeds) else frozenset()
    if "ratings" not in needs:
        scores = _all_scores(model.fit(board.dataset), board.dataset)
        _check_matrix(model, scores, board.liked.shape, "score")
        if personal:
            _solves(model, board.solved(scores), "scores learned without ratings")
        return
    try:
        model.fit(board.dataset)
    except DataError:
        return
    _expect(False, model, "data without ratings must raise DataError where `needs` has `ratings`")


def _check_factors(model: Any, board: Checkerboard, personal: bool) -> None:
    users, items = model.factors()
    scores = _all_scores(model, board.dataset)
    _check_matrix(model, users, (len(scores), users.shape[1]), "user factors")
    _check_matrix(model, items, (scores.shape[1], users.shape[1]), "item factors")
    agree = np.allclose(users @ items.T, scores, rtol=1e-4, atol=1e-4)
    _expect(agree, model, "the product of factors() must be score()")


def _check_predictions(model: Any, board: Checkerboard, personal: bool) -> None:
    predicted = model.predict(*_all_pairs(board.dataset))
    scores = _all_scores(model, board.dataset).ravel()
    right = predicted.shape == scores.shape and predicted.dtype == np.float64
    _expect(right, model, "predict must return float64, one rating a pair")
    possible = ~np.isnan(predicted)
    _expect(bool(possible.any()), model, "predict gave no rating at all")
    agree = np.allclose(predicted[possible], scores[possible], rtol=1e-4, atol=1e-4)
    _expect(agree, model, "score() and predict() must agree where there is a rating")


def _check_fold_in(model: Any, board: Checkerboard, personal: bool) -> None:
    histories = board.dataset.interactions.csr()
    before = _all_scores(model, board.dataset)
    scores = model.score_histories(histories)
    _check_matrix(model, scores, board.liked.shape, "score_histories")
    if personal:
        _solves(model, board.solved(scores), "scores of histories")
    untouched = np.array_equal(before, _all_scores(model, board.dataset))
    _expect(untouched, model, "score_histories must leave what was learned as it is")


def _check_similarities(model: Any, board: Checkerboard, personal: bool) -> None:
    warm = board.dataset.interactions.items()
    similarities = model.similarities(warm)
    _check_matrix(model, similarities, (len(warm), board.dataset.n_items), "similarities")
    alike = (warm[:, None] - warm) % 2 == 0
    other = ~np.eye(len(warm), dtype=bool)
    among = similarities[:, warm]
    nearer = among[alike & other].mean() > among[~alike].mean()
    _expect(bool(nearer), model, "items of one color must be more similar than others")


def _check_explanations(model: Any, board: Checkerboard, personal: bool) -> None:
    reasons = model.explain(0, 2, 3)
    weights = [weight for _, weight in reasons]
    right = 0 < len(reasons) <= 3 and weights == sorted(weights, reverse=True)
    _expect(right, model, f"explain(0, 2, 3) must give 1 to 3 reasons, heaviest first: {reasons}")
    kinds = {reason.partition(":")[0] for reason, _ in reasons}
    _expect(kinds <= {"item", "term"}, model, f"reasons are item:IDX or term:TEXT, not {reasons}")


def _check_state(make: Callable[[], Recommender], model: Any, train: Dataset) -> None:
    fresh: Any = make()
    restored = fresh.restore({name: _through_file(value) for name, value in model.state().items()})
    _expect(restored is fresh, model, "restore must return self")
    same = _same(_outcome(model, train), _outcome(restored, train))
    _expect(same, model, "a restored state must give the same scores to the last bit")


def _through_file(value: Any) -> Any:
    """`value` as it comes back from the files of a model: npz without pickle, and JSON."""
    from scipy.sparse import csr_array, issparse

    if issparse(value):
        parts = tuple(_through_file(part) for part in (value.data, value.indices, value.indptr))
        return csr_array(parts, shape=value.shape)
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        file.seek(0)
        return np.load(file, allow_pickle=False)
    return json.loads(json.dumps(value))


_CAPABILITIES: dict[Any, Callable[..., None]] = {
    FactorModel: _check_factors,
    PredictsRatings: _check_predictions,
    FoldIn: _check_fold_in,
    SimilarItems: _check_similarities,
    Explains: _check_explanations,
}


def _all_scores(model: Recommender, train: Dataset) -> Float32Array:
    return model.score(np.arange(train.n_users, dtype=np.int32))


def _all_pairs(train: Dataset) -> tuple[IdxArray, IdxArray]:
    users, items = np.indices((train.n_users, train.n_items), dtype=np.int32)
    return users.ravel(), items.ravel()


def _check_matrix(model: Any, matrix: Any, shape: tuple[int, ...], what: str) -> None:
    right = matrix.shape == shape and matrix.dtype == np.float32
    found = f"{matrix.dtype} {matrix.shape}"
    _expect(right, model, f"{what} must be float32 {shape}, not {found}")
    finite = not np.isnan(matrix).any() and not np.isposinf(matrix).any()
    _expect(finite, model, f"{what} must be finite (or -inf for never)")


def _solves(model: Any, share: float, what: str) -> None:
    _expect(share >= 0.9, model, f"{what} tell {share:.0%} of checkerboard pairs right, not 90%")


def _global_generators() -> tuple[Any, ...]:
    return repr(np.random.get_state(legacy=False)), random.getstate()  # noqa: NPY002


def _expect(condition: bool, model: Any, message: str) -> None:
    if not condition:
        raise AssertionError(f"{type(model).__name__}: {message}")
