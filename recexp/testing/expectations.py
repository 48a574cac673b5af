"""What the checks of a recommender share: what is looked at, and what is said when it is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recexp.algorithms.base import PredictsRatings, Recommender, sources
from recexp.arrays import Float32Array, IdxArray
from recexp.data.checkerboard import Checkerboard
from recexp.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Trial:
    """A recommender on trial.

    Attributes:
        make: returns a new one.
        model: one that is fitted on `board`.
        board: data with a known answer.
        personal, exact: see `check_recommender`.
    """

    make: Callable[[], Any]
    model: Any
    board: Checkerboard
    personal: bool
    exact: bool

    @property
    def data(self) -> Dataset:
        return self.board.dataset


def expect(condition: bool, model: Any, message: str) -> None:
    """Raise AssertionError with the name of the model unless `condition` holds."""
    if not condition:
        raise AssertionError(f"{type(model).__name__}: {message}")


def all_scores(model: Recommender, train: Dataset) -> Float32Array:
    """The scores of every user of `train`."""
    return model.score(np.arange(train.n_users, dtype=np.int32))


def outcome(model: Recommender, train: Dataset) -> list[Any]:
    """Scores, predicted ratings and sources: what hyperparameters may change."""
    users = np.arange(train.n_users, dtype=np.int32)
    found: list[Any] = [model.score(users), sources(model, users, train)]
    if isinstance(model, PredictsRatings):
        found.append(model.predict(*all_pairs(train)))
    return found


def same(ones: list[Any], others: list[Any]) -> bool:
    """Whether two outcomes are the same to the last bit."""
    pairs = zip(ones, others, strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def check_matrix(model: Any, matrix: Any, shape: tuple[int, ...], what: str) -> None:
    """Expect float32 of a shape, finite or -inf."""
    right = matrix.shape == shape and matrix.dtype == np.float32
    found = f"{matrix.dtype} {matrix.shape}"
    expect(right, model, f"{what} must be float32 {shape}, not {found}")
    finite = not np.isnan(matrix).any() and not np.isposinf(matrix).any()
    expect(finite, model, f"{what} must be finite (or -inf for never)")


def check_solved(model: Any, share: float, what: str) -> None:
    """Expect 9 in 10 pairs of a checkerboard told apart."""
    expect(share >= 0.9, model, f"{what} tell {share:.0%} of checkerboard pairs right, not 90%")


def all_pairs(train: Dataset) -> tuple[IdxArray, IdxArray]:
    """Every user with every item, as two columns."""
    users, items = np.indices((train.n_users, train.n_items), dtype=np.int32)
    return users.ravel(), items.ravel()


def restored(model: Any, make: Callable[[], Any]) -> Any:
    """A new recommender with the state of `model`, as it comes back from the files of a model."""
    fresh = make()
    state = {name: _through_file(value) for name, value in model.state().items()}
    expect(fresh.restore(state) is fresh, model, "restore must return self")
    return fresh


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
