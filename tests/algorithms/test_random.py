"""Random scores are uniform, independent, and the same for the same seed."""

from __future__ import annotations

import numpy as np

from recexp.algorithms.random import Random
from recexp.data.dataset import Dataset


def scores(dataset: Dataset, seed: int = 42) -> np.ndarray:
    return Random(seed).fit(dataset).score(np.arange(dataset.n_users, dtype=np.int32))


def test_they_are_uniform_in_every_row_and_column(synthetic: Dataset) -> None:
    drawn = scores(synthetic)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # A mean of n uniform draws lies within 5 standard errors (sqrt(1 / 12n)) of 1/2.
    for axis in (0, 1):
        error = np.abs(drawn.mean(axis=axis) - 0.5).max()
        assert error < 5 / np.sqrt(12 * drawn.shape[axis])
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 0.09 * drawn.size


def test_users_items_and_seeds_are_uncorrelated(synthetic: Dataset) -> None:
    one, other = scores(synthetic), scores(synthetic, seed=43)
    for a, b in ((one[:-1], one[1:]), (one[:, :-1], one[:, 1:]), (one, other)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_a_users_scores_do_not_depend_on_who_else_is_asked_for(synthetic: Dataset) -> None:
    model = Random().fit(synthetic)
    np.testing.assert_array_equal(
        model.score(np.array([7, 3], np.int32)), scores(synthetic)[[7, 3]]
    )


def test_new_users_and_items_move_no_score(synthetic: Dataset) -> None:
    rows = synthetic.interactions
    model = Random().fit(synthetic.compact(rows.item_idx < 50))
    few = np.arange(20, dtype=np.int32)
    before = model.score(few)
    after = model.partial_fit(synthetic).score(few)
    np.testing.assert_array_equal(after[:, : before.shape[1]], before)
    assert after.shape[1] == synthetic.n_items > before.shape[1]
