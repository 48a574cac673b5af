"""Scores of different algorithms made comparable, user by user."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from recexp.algorithms.guards import blocks
from recexp.arrays import AnyArray, BoolArray, Float32Array, FloatArray

Normalization: TypeAlias = Literal["min_max", "z_score", "rank", "none"]
NORMALIZATIONS = ("min_max", "z_score", "rank", "none")


def normalized(scores: Float32Array, how: Normalization) -> Float32Array:
    """Return scores, float32 (n, n_items), with every row brought onto a common scale.

    - `min_max`: (s - min) / (max - min), from 0 to 1; a row of equal scores becomes 0.
    - `z_score`: (s - mean) / standard deviation; a row of equal scores becomes 0.
    - `rank`: the share of the other items that score lower, ties counting half, from 0 to 1; a
      row of equal scores becomes 0.5.
    - `none`: as they are.

    -inf stays -inf and has no part in a row's minimum, mean or ranks. Scores that differ by no
    more than rounding are equal: noise must not be blown up into a preference.
    """
    if how == "none":
        return scores
    result = np.empty(scores.shape, np.float32)
    for rows in blocks(len(scores), scores.shape[1], budget=1 << 19):
        result[rows] = _RULES[how](scores[rows].astype(np.float64))
    return result


def items_below(scores: AnyArray) -> FloatArray:
    """Return how many items of its row each item outscores, ties counting half; float64.

    Items that score -inf are not counted. Scores tie that are equal but for `rounding`: an order
    of noise would not be the same in another block of users.
    """
    n, width = scores.shape
    step = rounding(scores)
    rounded = np.round(scores / np.where(step > 0, step, 1.0))
    order = np.argsort(rounded, axis=1)
    ascending = np.take_along_axis(rounded, order, axis=1)
    first = np.ones((n, width), np.bool_)
    first[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    start = np.flatnonzero(first)
    length = np.diff(start, append=n * width)
    below = np.empty((n, width))
    middle = np.repeat(start % max(width, 1) + (length - 1) / 2, length)
    np.put_along_axis(below, order, middle.reshape(n, width), axis=1)
    below -= np.isneginf(scores).sum(axis=1, keepdims=True)
    return below


def rounding(scores: AnyArray) -> AnyArray:
    """Return by how much float32 may make equal scores of each row differ, (n, 1)."""
    largest = np.abs(scores).max(axis=1, keepdims=True, where=scores > -np.inf, initial=0.0)
    step: AnyArray = 1e-6 * largest
    return step


def _min_max(scores: FloatArray) -> FloatArray:
    low, high = _extremes(scores)
    return _divided(scores - low, high - low, high - low > rounding(scores))


def _z_score(scores: FloatArray) -> FloatArray:
    possible = scores > -np.inf
    n = np.maximum(possible.sum(axis=1, keepdims=True), 1)
    mean = np.where(possible, scores, 0.0).sum(axis=1, keepdims=True) / n
    centered = scores - mean
    squares = np.where(possible, centered, 0.0) ** 2
    low, high = _extremes(scores)
    deviation = np.sqrt(squares.sum(axis=1, keepdims=True) / n)
    return _divided(centered, deviation, high - low > rounding(scores))


def _rank(scores: FloatArray) -> FloatArray:
    possible = scores > -np.inf
    others = possible.sum(axis=1, keepdims=True) - 1
    share = items_below(scores) / np.maximum(others, 1)
    return np.where(possible, np.where(others > 0, share, 0.5), -np.inf)


def _divided(centered: FloatArray, spread: FloatArray, differ: BoolArray) -> FloatArray:
    """`centered / spread`, 0 in rows whose scores do not `differ`; -inf stays."""
    scaled = centered / np.where(differ, spread, 1.0)
    return np.where(differ | np.isneginf(centered), scaled, 0.0)


def _extremes(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The least and the largest score of each row, -inf left out; (n, 1) each, 0 without any."""
    possible = scores > -np.inf
    low = scores.min(axis=1, keepdims=True, where=possible, initial=np.inf)
    high = scores.max(axis=1, keepdims=True, where=possible, initial=-np.inf)
    none = ~possible.any(axis=1, keepdims=True)
    return np.where(none, 0.0, low), np.where(none, 0.0, high)


_RULES = {"min_max": _min_max, "z_score": _z_score, "rank": _rank}
