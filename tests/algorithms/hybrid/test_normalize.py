"""Scores on a common scale: by hand, against scipy, and at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata, zscore

from recexp.algorithms.hybrid.normalize import NORMALIZATIONS, items_below, normalized
from recexp.rng import derive

NEVER = -np.inf


def rows(*values: list[float]) -> Any:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("min_max", [0.0, 0.25, 1.0]),
        ("z_score", [value / 26**0.5 for value in (-5, -2, 7)]),  # mean 8/3, variance 26/9
        ("rank", [0.0, 0.5, 1.0]),
        ("none", [1.0, 2.0, 5.0]),
    ],
)
def test_by_hand(how: Any, expected: list[float]) -> None:
    assert normalized(rows([1, 2, 5]), how)[0] == pytest.approx(expected)


def test_against_scipy() -> None:
    scores = derive(1, "scores").integers(0, 50, (40, 60)).astype(np.float32)
    below = rankdata(scores, axis=1, method="average") - 1
    np.testing.assert_allclose(items_below(scores.astype(np.float64)), below)
    np.testing.assert_allclose(normalized(scores, "rank"), below / 59, rtol=1e-6)
    np.testing.assert_allclose(normalized(scores, "z_score"), zscore(scores, axis=1), atol=1e-5)


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_never_stays_never_and_moves_nothing(how: Any) -> None:
    with_it = normalized(rows([3, NEVER, 1, 4, NEVER]), how)[0]
    assert np.isneginf(with_it).tolist() == [False, True, False, False, True]
    assert with_it[[0, 2, 3]] == pytest.approx(normalized(rows([3, 1, 4]), how)[0])


@pytest.mark.parametrize(("how", "value"), [("min_max", 0.0), ("z_score", 0.0), ("rank", 0.5)])
@pytest.mark.parametrize("row", [[2, 2, 2], [0, 0, 0], [3.53, 3.53 + 2e-7, 3.53], [-7, NEVER, -7]])
def test_equal_scores_prefer_nothing(how: Any, value: float, row: list[float]) -> None:
    result = normalized(rows(row), how)[0]
    assert result[np.isfinite(row)].tolist() == [value] * int(np.isfinite(row).sum())


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_rows_without_any_score_and_no_rows(how: Any) -> None:
    assert np.isneginf(normalized(rows([NEVER, NEVER]), how)).all()
    assert normalized(np.empty((0, 3), np.float32), how).shape == (0, 3)
    assert normalized(rows([NEVER, 7]), how)[0, 1] == {"rank": 0.5, "none": 7}.get(how, 0.0)


@pytest.mark.parametrize("how", ["min_max", "z_score", "rank"])
def test_rows_do_not_depend_on_each_other_or_on_scale(how: Any) -> None:
    scores = derive(2, "scores").normal(size=(7, 90)).astype(np.float32)
    alone = np.concatenate([normalized(row[None], how) for row in scores])
    np.testing.assert_array_equal(normalized(scores, how), alone)
    np.testing.assert_allclose(normalized(8 * scores - 4, how), alone, atol=2e-5)


def test_noise_of_rounding_is_no_order() -> None:
    """float32 products of other shapes differ in their last bits."""
    noise = np.array([0, 2e-8, -3e-8, 1e-8, 0.8, 0.8 + 6e-8], np.float32)
    assert items_below(noise[None])[0].tolist() == [1.5, 1.5, 1.5, 1.5, 4.5, 4.5]
