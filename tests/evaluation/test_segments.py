"""Segments of users and items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recexp.evaluation.arithmetic import percentile
from recexp.evaluation.segments import item_segments, user_segments
from recexp.splits.base import Split

MakeSplit = Callable[..., Split]


def rows(counts: list[int]) -> list[tuple[int, int, float]]:
    return [(u, i, 5.0) for u, count in enumerate(counts) for i in range(count)]


def members(segments: dict[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: np.flatnonzero(inside).tolist() for name, inside in segments.items()}


def test_thirds_are_of_the_training_users(make_split: MakeSplit) -> None:
    train = make_split(rows([3, 1, 0, 5, 2, 6, 4]), [], 7, 6).train.interactions
    assert members(user_segments(train, np.arange(7, dtype=np.int32))) == {
        "warm_users": [0, 1, 3, 4, 5, 6],
        "cold_users": [2],
        "light_users": [1, 4],
        "heavy_users": [3, 5],
    }


def test_the_segments_are_those_of_the_asked_users(make_split: MakeSplit) -> None:
    train = make_split(rows([3, 1, 0, 5, 2, 6, 4]), [], 7, 6).train.interactions
    found = members(user_segments(train, np.array([2, 5], np.int32)))
    assert found["cold_users"] == [0]
    assert found["heavy_users"] == [1]


def test_equally_active_users_are_in_the_same_segment(make_split: MakeSplit) -> None:
    train = make_split(rows([1, 1, 1, 1, 2, 3]), [], 6, 3).train.interactions
    found = members(user_segments(train, np.arange(6, dtype=np.int32)))
    assert found["light_users"] == []  # four of six share the lowest place: their middle is 1/3
    assert found["heavy_users"] == [4, 5]
    same = make_split(rows([2, 2, 2]), [], 3, 2).train.interactions
    found = members(user_segments(same, np.arange(3, dtype=np.int32)))
    assert found["light_users"] == found["heavy_users"] == []


def test_the_head_is_a_fifth_of_the_training_items(make_split: MakeSplit) -> None:
    train = [(u, i, 5.0) for i in range(10) for u in range(i + 1)]
    found = members(item_segments(make_split(train, [], 10, 12).train.interactions))
    assert found == {
        "head_items": [8, 9],
        "tail_items": [0, 1, 2, 3, 4, 5, 6, 7],
        "cold_items": [10, 11],
    }


def test_percentiles_agree_with_scipy() -> None:
    from scipy.stats import percentileofscore

    values = np.array([3, 1, 1, 7, 7, 7, 2])
    expected = [percentileofscore(values, v, kind="mean") / 100 for v in values]
    np.testing.assert_allclose(percentile(values), expected, atol=1e-15)
