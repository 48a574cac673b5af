"""Paired comparison of two runs on the users that both evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from recexp.arrays import AnyArray, FloatArray
from recexp.errors import ConfigError, DataError, did_you_mean
from recexp.evaluation.metrics import lower_is_better, metric_name, mlflow_name
from recexp.evaluation.ratings import Errors, mae, mae_user, mse, rmse, rmse_user
from recexp.evaluation.summary import ERROR_SUMS
from recexp.evaluation.uncertainty import bootstrap_means, percentile_interval
from recexp.rng import derive

Columns = Mapping[str, AnyArray]
"""Per-user columns: of an `Evaluation`, or of a saved `per_user.parquet`."""

Test = Literal["permutation", "t", "wilcoxon"]

N_PERMUTATIONS = 10_000
_BLOCK_FLIPS = 1 << 22
_GAUSSIAN = 3.178
"""1 / (4 P(Z >= sqrt 2)): no sum of signed numbers has a tail heavier than this many times that of
a normal variable of its variance (Bentkus, Dzindzalieta 2015)."""
_MICRO = {"mse": mse, "rmse": rmse, "mae": mae}
_MACRO = {"rmse_user": rmse_user, "mae_user": mae_user}

Finish = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Identity:
    """What a run was measured on; two runs compare only if both fingerprints agree."""

    run: str
    dataset_fingerprint: str
    split_fingerprint: str


@dataclass(frozen=True)
class Comparison:
    """Run a against run b in one metric.

    Attributes:
        n_users: the users both evaluated; everything else is over them alone.
        value_a, value_b: the metric of each run.
        difference: value_a - value_b.
        ci_low, ci_high: its 95 % bootstrap interval over users.
        p_value: two-sided, of the paired test.
        effect_size: Cohen's d_z, the mean of the paired differences over their deviation.
        wins, ties, losses: users for whom a is better, equal, worse.
        p_holm: the p-value after Holm's correction over a table (see `correct`); NaN before.
    """

    metric: str
    n_users: int
    value_a: float
    value_b: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    effect_size: float
    wins: int
    ties: int
    losses: int
    p_holm: float = math.nan


def check_comparable(a: Identity, b: Identity) -> None:
    """Raise ConfigError, which says what differs, unless both runs had the same data and split."""
    pairs = {
        "data": (a.dataset_fingerprint, b.dataset_fingerprint),
        "splits": (a.split_fingerprint, b.split_fingerprint),
    }
    different = [
        f"{what} differ (fingerprints {x[:12]} and {y[:12]})"
        for what, (x, y) in pairs.items()
        if x != y
    ]
    if different:
        raise ConfigError(
            f"runs {a.run} and {b.run} cannot be compared: their {' and their '.join(different)}; "
            "run both with the same dataset, preprocess, split and seed"
        )


def compare(
    a: Columns,
    b: Columns,
    metric: str,
    *,
    test: Test = "permutation",
    seed: int = 42,
    n_resamples: int = 1000,
) -> Comparison:
    """Return the paired comparison of two runs in `metric`.

    Args:
        a, b: the runs' per-user columns, with `user_id` (or `user_idx`).
        metric: `ndcg@10`, `rmse`, or in a segment `tail_items/ndcg@10`, `cold_users/mae`. The
            errors mse, rmse and mae are compared on the users' error sums, of which the p-value
            and the effect size are.
        test: `permutation` of the signs of the paired differences (10,000, seeded), `t`, or
            `wilcoxon`.

    Raises ConfigError for an unknown test or metric, DataError when no user is in both runs.
    """
    if test not in get_args(Test):
        raise ConfigError(f"test={test}{did_you_mean(test, get_args(Test))}")
    x, y, finish = _paired(a, b, metric)
    d = x - y
    values = finish(np.array([x.mean(), y.mean()]))
    resampled = finish(bootstrap_means(np.stack([x, y]), derive(seed, "bootstrap"), n_resamples))
    low, high = percentile_interval((resampled[0] - resampled[1])[None])
    better = -d if lower_is_better(metric.rpartition("/")[2]) else d
    return Comparison(
        metric=metric,
        n_users=len(d),
        value_a=float(values[0]),
        value_b=float(values[1]),
        difference=float(values[0] - values[1]),
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        p_value=_p_value(d, test, seed),
        effect_size=cohens_dz(d),
        wins=int((better > 0).sum()),
        ties=int((better == 0).sum()),
        losses=int((better < 0).sum()),
    )


def correct(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return the comparisons of one table with their p-values corrected by Holm's method."""
    adjusted = holm(np.array([comparison.p_value for comparison in comparisons]))
    return tuple(
        replace(comparison, p_holm=float(p))
        for comparison, p in zip(comparisons, adjusted, strict=True)
    )


def holm(p_values: FloatArray) -> FloatArray:
    """Return p-values adjusted so that the family-wise error holds (Holm 1979), float64 (m,).

    The i-th smallest of m is multiplied by m - i + 1, never below the one before it, at most 1.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def permutation_p_value(
    d: FloatArray, rng: np.random.Generator, n_permutations: int = N_PERMUTATIONS
) -> float:
    """Return the two-sided p-value of a paired permutation test of the differences `d`.

    Under the null hypothesis the sign of each difference is arbitrary. The p-value is the share
    of random sign patterns, the observed one among them, whose sum is at least as far from 0
    (Phipson, Smyth 2010); see `p_value_of_count` for differences that no pattern reaches.
    """
    d = d[d != 0]
    far = abs(d.sum()) * (1 - 1e-12)  # equal sums may differ by rounding
    n_bytes = -(-len(d) // 8)
    size = max(1, _BLOCK_FLIPS // max(1, len(d)))
    n_far = 0
    for start in range(0, n_permutations, size):
        rows = min(size, n_permutations - start)
        random = np.frombuffer(rng.bytes(rows * n_bytes), np.uint8).reshape(rows, n_bytes)
        flipped = np.unpackbits(random, axis=1, count=len(d)).astype(np.float64)
        n_far += int((np.abs(d.sum() - 2 * (flipped @ d)) >= far).sum())
    return p_value_of_count(n_far, n_permutations, d)


def p_value_of_count(n_far: int, n_permutations: int, d: FloatArray) -> float:
    """Return the p-value when `n_far` of the drawn sign patterns of `d` are as far from 0 as it is.

    When none is, a bound of the exact p-value takes the place of 1 / (n_permutations + 1) where it
    is smaller: otherwise nothing in a table of hundreds of pairs could stay significant after
    Holm's correction, whatever the difference.
    """
    p = (n_far + 1) / (n_permutations + 1)
    if n_far or not d.any():
        return p
    distance = abs(float(d.sum())) / float(np.sqrt(d @ d))
    return min(p, _GAUSSIAN * math.erfc(distance / math.sqrt(2)))


def cohens_dz(d: FloatArray) -> float:
    """Return Cohen's d_z: mean / standard deviation (n - 1) of paired differences.

    0 without any difference; infinite when all differ by the same amount.
    """
    mean, deviation = float(d.mean()), float(d.std(ddof=1)) if len(d) > 1 else 0.0
    if deviation == 0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / deviation


def paired_differences(a: Columns, b: Columns, metric: str) -> FloatArray:
    """Return a's value minus b's for each user that both have; of rating errors their sums.

    Raises ConfigError for an unknown metric, DataError when no user is in both runs.
    """
    x, y, _ = _paired(a, b, metric)
    return x - y


def _p_value(d: FloatArray, test: Test, seed: int) -> float:
    if test == "permutation":
        return permutation_p_value(d, derive(seed, "permutation"))
    if len(d) < 2 or not d.any():
        return 1.0
    from scipy import stats

    if test == "wilcoxon":
        return float(stats.wilcoxon(d).pvalue)
    return float(stats.ttest_1samp(d, 0.0).pvalue) if np.ptp(d) else 0.0


def _paired(a: Columns, b: Columns, metric: str) -> tuple[FloatArray, FloatArray, Finish]:
    """The values of the users in both runs, and what turns their means into the metric."""
    _, of_a, of_b = np.intersect1d(user_ids(a), user_ids(b), return_indices=True)
    (x, n), (y, m) = (user_values(columns, metric) for columns in (a, b))
    x, n, y, m = x[of_a], n[of_a], y[of_b], m[of_b]
    both = ~np.isnan(x) & ~np.isnan(y)
    if not both.any():
        raise DataError(f"no user has '{metric}' in both runs: they share {len(of_a)} users")
    return x[both] / n[both].mean(), y[both] / m[both].mean(), finishing(metric)


def finishing(metric: str) -> Finish:
    """Return what turns means of `user_values` into the metric: the root for rmse."""
    return np.sqrt if metric.rpartition("/")[2] == "rmse" else np.asarray


def user_values(columns: Columns, metric: str) -> tuple[FloatArray, FloatArray]:
    """Return each user's value, NaN if none, and what its mean is divided by: 1, or rated pairs.

    Raises ConfigError when the columns do not have the metric.
    """
    segment, _, name = metric.rpartition("/")
    prefix = f"{segment}/" if segment else ""
    everyone = np.ones(len(user_ids(columns)), bool)
    members = columns.get(segment, everyone)
    if members.dtype == np.bool_ and segment in columns:
        prefix = ""  # users of a segment have their values among everyone's
    if name not in _MICRO | _MACRO:
        values = _column(columns, prefix + mlflow_name(name), metric)
        return np.where(members, values, np.nan), everyone.astype(np.float64)
    n, squared, absolute = (
        _column(columns, prefix + part, metric).astype(np.float64) for part in ERROR_SUMS
    )
    rated = members & (n > 0)
    if name in _MACRO:
        values = _MACRO[name](Errors(np.maximum(n, 1), squared, absolute))
        return np.where(rated, values, np.nan), everyone.astype(np.float64)
    return np.where(rated, absolute if name == "mae" else squared, np.nan), n


def user_ids(columns: Columns) -> AnyArray:
    """Return the column of user ids."""
    return np.asarray(columns["user_id" if "user_id" in columns else "user_idx"])


def _column(columns: Columns, name: str, metric: str) -> AnyArray:
    if name not in columns:
        known = [metric_name(column) for column in columns]
        raise ConfigError(
            f"no metric '{metric}' in the per-user values{did_you_mean(metric, known)}"
        )
    return columns[name]
