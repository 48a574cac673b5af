"""The table of results: means, intervals and segments, from the per-user columns alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray
from recexp.evaluation.metrics import metric_name, mlflow_name
from recexp.evaluation.ratings import Errors, mae, mae_user, mse, rmse, rmse_user
from recexp.evaluation.registry import Metric
from recexp.evaluation.uncertainty import bootstrap_means, percentile_interval
from recexp.rng import derive

ERROR_SUMS = ("n_ratings", "squared_error", "absolute_error")
"""The per-user columns from which every rating metric is computed."""


@dataclass(frozen=True)
class Estimate:
    """One number of the table.

    Attributes:
        metric: `ndcg@10`.
        segment: `tail_items`; empty for the whole.
        value: the mean over users, unrounded (for mse, rmse and mae over pairs; for list-set
            metrics the number itself).
        ci_low, ci_high: 95 % bootstrap interval over users; NaN where there is none.
        n_users: the users behind the value.
    """

    metric: str
    segment: str
    value: float
    ci_low: float
    ci_high: float
    n_users: int

    @property
    def key(self) -> str:
        """The name in MLflow and in the per-user columns: `tail_items/ndcg_at_10`."""
        return mlflow_name(f"{self.segment}/{self.metric}" if self.segment else self.metric)


def summarize(
    columns: Mapping[str, AnyArray], *, seed: int = 42, n_resamples: int = 1000
) -> tuple[Estimate, ...]:
    """Return the estimates of all metrics and segments: first the whole, then each segment.

    `columns` are those of `Evaluation.per_user` or of a saved `per_user.parquet`. A float column
    is a metric, NaN for a user who is not in its mean; a bool column is a segment of users, over
    whom every metric of the whole is averaged too; a name before a slash is a segment of items;
    `n_ratings`, `squared_error` and `absolute_error` give the rating metrics.

    The intervals of ranking metrics are of the same resamples of the evaluated users (`n_relevant`
    > 0), those of rating metrics of the users with a rated pair, see `bootstrap_means`; a mean over
    nobody is left out. `n_resamples=0` leaves the intervals NaN.
    """
    means = [mean for mean in _means(columns) if mean.users.any()]
    intervals = _intervals(means, seed, n_resamples)
    return tuple(
        Estimate(mean.metric, mean.segment, mean.point(), *interval, int(mean.users.sum()))
        for mean, interval in zip(means, intervals, strict=True)
    )


@dataclass(frozen=True, eq=False)
class _Mean:
    """What is estimated: a statistic of the means of `columns` over `users`.

    Its interval is from resamples of `population`, of whom `users` are some.
    """

    metric: str
    segment: str
    population: BoolArray
    users: BoolArray
    columns: tuple[AnyArray, ...]
    statistic: Callable[..., FloatArray] = lambda mean: mean

    def point(self) -> float:
        """Return the number itself."""
        return float(self.statistic(*(column[self.users].mean() for column in self.columns)))


def _means(columns: Mapping[str, AnyArray]) -> Iterator[_Mean]:
    """Yield everything that the columns allow to estimate, in the order of the table."""
    segments: dict[str, dict[str, AnyArray]] = {"": {}}
    for name, column in columns.items():
        segment, _, base = name.rpartition("/")
        segments.setdefault(segment, {})[base] = column
    whole = segments.pop("")
    evaluated, rated = (whole.get(name, np.zeros(0)) > 0 for name in ("n_relevant", "n_ratings"))
    everyone = np.ones(len(evaluated), bool)
    user_segments = {name: column for name, column in whole.items() if column.dtype == np.bool_}
    parts = [(segment, members, whole) for segment, members in user_segments.items()]
    parts += [(segment, everyone, of_items) for segment, of_items in segments.items()]
    for segment, members, values in [("", everyone, whole), *parts]:
        yield from _ranking_means(segment, members, evaluated, values)
        if all(name in values for name in ERROR_SUMS):
            yield from _rating_means(segment, members, rated, values)


def _ranking_means(
    segment: str, members: BoolArray, evaluated: BoolArray, columns: Mapping[str, AnyArray]
) -> Iterator[_Mean]:
    for name, column in columns.items():
        if column.dtype == np.float64 and name not in ERROR_SUMS:
            users = members & ~np.isnan(column)
            yield _Mean(metric_name(name), segment, evaluated, users, (column,))


def _rating_means(
    segment: str, members: BoolArray, rated: BoolArray, columns: Mapping[str, AnyArray]
) -> Iterator[_Mean]:
    sums = tuple(columns[name] for name in ERROR_SUMS)
    users = members & (sums[0] > 0)
    for metric in (mse, rmse, mae):
        yield _Mean(metric.name, segment, rated, users, sums, partial(_of_sums, metric))
    for metric in (rmse_user, mae_user):
        values = _of_sums(metric, np.maximum(sums[0], 1), *sums[1:])
        yield _Mean(metric.name, segment, rated, users, (values,))


def _of_sums(metric: Metric, *sums: FloatArray) -> FloatArray:
    values: FloatArray = metric(Errors(*sums))
    return values


def _intervals(means: list[_Mean], seed: int, n_resamples: int) -> list[tuple[float, float]]:
    """Return the interval of each mean, those of one population from the same resamples."""
    intervals = [(np.nan, np.nan)] * len(means)
    populations: dict[bytes, list[int]] = {}
    for i, mean in enumerate(means if n_resamples else ()):
        populations.setdefault(mean.population.tobytes(), []).append(i)
    for mine in populations.values():
        group = [means[i] for i in mine]
        values, rows = _distinct(group)
        resampled = bootstrap_means(values, derive(seed, "bootstrap"), n_resamples)
        spread = [mean.statistic(*resampled[row]) for mean, row in zip(group, rows, strict=True)]
        low, high = percentile_interval(np.stack(spread))
        for i, least, most in zip(mine, low.tolist(), high.tolist(), strict=True):
            intervals[i] = (least, most)
    return intervals


def _distinct(group: list[_Mean]) -> tuple[FloatArray, list[list[int]]]:
    """The columns of means over one population, each once; and which rows are whose.

    Segments often hold the same users, and mse, rmse and mae need the same sums.
    """
    found: dict[tuple[int, bytes], tuple[int, FloatArray]] = {}
    rows = []
    for mean in group:
        keys = [(id(column), mean.users.tobytes()) for column in mean.columns]
        for key, column in zip(keys, mean.columns, strict=True):
            if key not in found:
                values = np.where(mean.users, column, np.nan)[mean.population]
                found[key] = (len(found), values)
        rows.append([found[key][0] for key in keys])
    return np.stack([values for _, values in found.values()]), rows
