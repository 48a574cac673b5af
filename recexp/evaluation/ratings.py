"""Rating prediction: predicted or calibrated ratings of the test pairs, and their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recexp.algorithms.base import FactorModel, PredictsRatings, Recommender, Source, sources
from recexp.arrays import AnyArray, BoolArray, FloatArray, IdxArray
from recexp.data.interactions import Interactions
from recexp.evaluation.arithmetic import ratio
from recexp.evaluation.registry import Kind, metric
from recexp.splits.base import Split

_BLOCK_SCORES = 1 << 22
_LARGE = 200_000
"""Distinct scores up to which the loop takes less time than importing scipy.optimize."""


@dataclass(frozen=True, eq=False)
class RatedPairs:
    """The test pairs with their true and predicted ratings.

    Attributes:
        user_idx, item_idx: int32 (p,).
        truth: float64 (p,), the rating given.
        prediction: float64 (p,), clipped to the rating scale.
        fallback: bool (p,), the algorithm could not predict the pair.
        rating_source: `predicted` by the algorithm, or `calibrated` from its scores.
    """

    user_idx: IdxArray
    item_idx: IdxArray
    truth: FloatArray
    prediction: FloatArray
    fallback: BoolArray
    rating_source: Literal["predicted", "calibrated"]

    @property
    def fallback_share(self) -> float:
        """The share of pairs that were answered by a mean."""
        return float(self.fallback.mean()) if len(self.fallback) else 0.0


@dataclass(frozen=True, eq=False)
class Errors:
    """Sums of rating errors, float64 of one shape: of users, of all together, or resampled."""

    n: FloatArray
    squared: FloatArray
    absolute: FloatArray


@metric("sum of squared errors / pairs", "standard", Kind.ERRORS, lower_is_better=True)
def mse(errors: Errors) -> FloatArray:
    """Mean squared error over all test pairs (micro)."""
    return errors.squared / errors.n


@metric("sqrt(mse)", "standard; Surprise accuracy.rmse", Kind.ERRORS, lower_is_better=True)
def rmse(errors: Errors) -> FloatArray:
    """Root mean squared error over all test pairs (micro)."""
    return np.sqrt(errors.squared / errors.n)


@metric("sum of absolute errors / pairs", "standard", Kind.ERRORS, lower_is_better=True)
def mae(errors: Errors) -> FloatArray:
    """Mean absolute error over all test pairs (micro)."""
    return errors.absolute / errors.n


@metric("mean over users of the user's rmse", "macro average", Kind.ERRORS, lower_is_better=True)
def rmse_user(errors: Errors) -> FloatArray:
    """The RMSE of each user's pairs, whose mean over users some libraries report as RMSE."""
    return np.sqrt(errors.squared / errors.n)


@metric("mean over users of the user's mae", "macro average", Kind.ERRORS, lower_is_better=True)
def mae_user(errors: Errors) -> FloatArray:
    """The MAE of each user's pairs."""
    return errors.absolute / errors.n


Fallback = Literal["means", "global"]
"""For pairs that cannot be predicted: see `fallback_ratings`, or the global training mean."""


def predict_ratings(
    recommender: Recommender, split: Split, fallback: Fallback = "means"
) -> RatedPairs | None:
    """Return the ratings that a fitted recommender gives the test pairs; None without ratings.

    One that predicts ratings is asked for them; the scores of any other are calibrated (see
    `calibrated`). A pair it cannot predict gets the item's training mean, or else the user's, or
    else the global one; with `fallback="global"` always the last, as in Surprise. Every
    prediction is clipped to the rating scale.
    """
    if split.train.scale is None:
        return None
    test = split.test
    rating_source: Literal["predicted", "calibrated"]
    if isinstance(recommender, PredictsRatings):
        rating_source = "predicted"
        prediction = np.asarray(recommender.predict(test.user_idx, test.item_idx), np.float64)
    else:
        rating_source = "calibrated"
        prediction = calibrated(recommender, split)
    train = split.train.interactions
    instead = fallback_ratings(train, test) if fallback == "means" else _mean(train)
    impossible = ~np.isfinite(prediction)
    prediction = np.where(impossible, instead, prediction)
    truth = test.value.astype(np.float64)
    prediction = np.clip(prediction, *split.train.scale)
    return RatedPairs(test.user_idx, test.item_idx, truth, prediction, impossible, rating_source)


def fallback_ratings(train: Interactions, pairs: Interactions) -> FloatArray:
    """Return the item's training mean, the user's or the global one, whichever exists first."""
    item = _means(train.item_idx, train.value, train.n_items)[pairs.item_idx]
    user = _means(train.user_idx, train.value, train.n_users)[pairs.user_idx]
    return np.where(np.isfinite(item), item, np.where(np.isfinite(user), user, _mean(train)))


def calibrated(recommender: Recommender, split: Split) -> FloatArray:
    """Return ratings of the test pairs by a monotone map of their scores, float64 (p,).

    The map from score to rating - the user's training mean is the isotonic regression of the
    training pairs; nothing of the test part enters. A user without training ratings has the
    global mean. NaN where the recommender has no score of its own for the pair.
    """
    train, test = split.train.interactions, split.test
    user_mean = _means(train.user_idx, train.value, train.n_users)
    user_mean = np.where(np.isfinite(user_mean), user_mean, _mean(train))
    scores = pair_scores(recommender, train)
    usable = np.isfinite(scores)
    ratings = np.full(len(test), np.nan)
    if not usable.any():
        return ratings
    above_mean = train.value[usable] - user_mean[train.user_idx[usable]]
    knots, levels = isotonic(scores[usable], above_mean)
    own = sources(recommender, test.user_idx, split.train) != Source.FALLBACK
    scores = pair_scores(recommender, test.select(own))
    mapped = user_mean[test.user_idx[own]] + np.interp(scores, knots, levels)
    ratings[own] = np.where(np.isfinite(scores), mapped, np.nan)
    return ratings


def isotonic(x: AnyArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the knots and levels of the isotonic regression of y on x, both ascending.

    Least squares among the non-decreasing functions; the y of equal x are averaged first.
    `np.interp(new, knots, levels)` predicts: linear between the knots and constant beyond them,
    as scikit-learn's `IsotonicRegression(out_of_bounds="clip")` does.
    """
    knots, group, weight = np.unique(x, return_inverse=True, return_counts=True)
    mean = np.bincount(group, y) / weight
    if len(knots) > _LARGE:
        from scipy.optimize import isotonic_regression

        return knots.astype(np.float64), isotonic_regression(mean, weights=weight).x
    return knots.astype(np.float64), pool_adjacent_violators(mean, weight)


def pool_adjacent_violators(y: FloatArray, weight: AnyArray) -> FloatArray:
    """Return the non-decreasing sequence nearest to y in weighted least squares, float64.

    Neighbors out of order are merged into their mean until none are (Ayer et al. 1955).
    """
    levels: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    for level, mass in zip(y.tolist(), weight.tolist(), strict=True):
        size = 1
        while levels and levels[-1] >= level:
            before = weights.pop()
            level = (levels.pop() * before + level * mass) / (before + mass)
            mass += before
            size += sizes.pop()
        levels.append(level)
        weights.append(mass)
        sizes.append(size)
    return np.repeat(levels, sizes)


def pair_scores(recommender: Recommender, pairs: Interactions) -> FloatArray:
    """Return the score of each (user, item) pair, float64 (p,); -inf means never."""
    scores = np.empty(len(pairs), np.float64)
    if isinstance(recommender, FactorModel):
        user_factors, item_factors = recommender.factors()
        size = max(1, _BLOCK_SCORES // user_factors.shape[1])
        for start in range(0, len(pairs), size):
            part = slice(start, start + size)
            left, right = user_factors[pairs.user_idx[part]], item_factors[pairs.item_idx[part]]
            scores[part] = np.einsum("ij,ij->i", left, right)
        return scores
    order = np.argsort(pairs.user_idx, kind="stable")
    users, first = np.unique(pairs.user_idx[order], return_index=True)
    first = np.append(first, len(pairs))
    size = max(1, _BLOCK_SCORES // pairs.n_items)
    for start in range(0, len(users), size):
        block = users[start : start + size]
        rows = order[first[start] : first[start + len(block)]]
        position = np.searchsorted(block, pairs.user_idx[rows])
        scores[rows] = recommender.score(block)[position, pairs.item_idx[rows]]
    return scores


def _means(idx: IdxArray, values: AnyArray, size: int) -> FloatArray:
    """The mean value of each idx; NaN for one that does not occur."""
    count = np.bincount(idx, minlength=size)
    total = np.bincount(idx, values, minlength=size)
    return ratio(total, count, np.nan)


def _mean(interactions: Interactions) -> float:
    return float(interactions.value.mean(dtype=np.float64))
