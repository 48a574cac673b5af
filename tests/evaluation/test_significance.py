"""Paired comparison: known answers, scipy's answers, and levels that hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from recexp.errors import ConfigError, DataError
from recexp.evaluation.significance import (
    Comparison,
    Identity,
    check_comparable,
    cohens_dz,
    compare,
    correct,
    holm,
    permutation_p_value,
)


def columns(values: Any, **others: Any) -> dict[str, Any]:
    values = np.asarray(values, float)
    return {"user_id": np.arange(len(values)), "ndcg_at_10": values, **others}


def test_difference_effect_and_counts_by_hand() -> None:
    a, b = columns([0.5, 0.7, 0.2, 0.9]), columns([0.4, 0.7, 0.3, 0.5])
    found = compare(a, b, "ndcg@10")
    d = [0.1, 0.0, -0.1, 0.4]
    assert found.difference == pytest.approx(0.1)
    assert (found.value_a, found.value_b) == (pytest.approx(0.575), pytest.approx(0.475))
    assert (found.wins, found.ties, found.losses, found.n_users) == (2, 1, 1, 4)
    assert found.effect_size == pytest.approx(np.mean(d) / np.std(d, ddof=1))
    assert found.ci_low <= found.difference <= found.ci_high


def test_swapping_the_runs_changes_signs_only() -> None:
    rng = np.random.default_rng(0)
    a, b = columns(rng.random(60)), columns(rng.random(60))
    one, other = compare(a, b, "ndcg@10"), compare(b, a, "ndcg@10")
    assert other.difference == -one.difference
    assert other.ci_low == pytest.approx(-one.ci_high)
    assert other.p_value == one.p_value
    assert (other.wins, other.losses) == (one.losses, one.wins)


def test_only_users_in_both_runs_are_compared() -> None:
    a = {"user_id": np.array(["u1", "u2", "u3", "u4"]), "map_at_5": np.array([1, 2, np.nan, 4.0])}
    b = {"user_id": np.array(["u4", "u2", "u3", "u9"]), "map_at_5": np.array([3, 2, 7, 9.0])}
    found = compare(a, b, "map@5")
    assert (found.n_users, found.value_a, found.value_b) == (2, 3.0, 2.5)
    with pytest.raises(DataError, match="no user has 'map@5' in both"):
        compare(a, {"user_id": np.array(["x"]), "map_at_5": np.array([1.0])}, "map@5")


def test_the_permutation_test_counts_sign_patterns() -> None:
    d = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    exact = 2 / 2**5  # only all signs as observed, or all reversed, are as far from 0
    rng = np.random.default_rng(0)
    assert permutation_p_value(d, rng, 40_000) == pytest.approx(exact, abs=0.004)
    d = np.array([1.0, 1.0, -1.0])  # |sum| >= 1 always
    assert permutation_p_value(d, rng, 500) == 1.0
    assert permutation_p_value(np.zeros(5), rng, 500) == 1.0


def test_the_permutation_test_agrees_with_scipy_s() -> None:
    from scipy.stats import permutation_test

    d = np.random.default_rng(1).normal(0.25, 1, 80)
    theirs = permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    ours = permutation_p_value(d, np.random.default_rng(3), 20_000)
    assert ours == pytest.approx(theirs.pvalue, abs=0.006)


def test_t_and_wilcoxon_are_scipy_s() -> None:
    from scipy.stats import ttest_rel, wilcoxon

    rng = np.random.default_rng(4)
    a, b = rng.random(70), rng.random(70)
    found = {
        test: compare(columns(a), columns(b), "ndcg@10", test=test).p_value
        for test in ("t", "wilcoxon")
    }
    assert found["t"] == pytest.approx(ttest_rel(a, b).pvalue, rel=1e-9)
    assert found["wilcoxon"] == pytest.approx(wilcoxon(a, b).pvalue, rel=1e-9)


@pytest.mark.parametrize("test", ["permutation", "t", "wilcoxon"])
def test_equal_runs_do_not_differ(test: Any) -> None:
    same = columns([0.1, 0.5, 0.9])
    found = compare(same, same, "ndcg@10", test=test)
    assert (found.difference, found.p_value, found.effect_size) == (0, 1, 0)
    assert (found.wins, found.ties, found.losses) == (0, 3, 0)


def test_a_constant_difference_is_as_large_as_an_effect_can_be() -> None:
    assert cohens_dz(np.full(4, -0.25)) == -math.inf
    found = compare(columns([0.75] * 4), columns([0.5] * 4), "ndcg@10", test="t")
    assert (found.p_value, found.effect_size) == (0.0, math.inf)


def errors(squared: Any, absolute: Any, n: Any) -> dict[str, Any]:
    return {
        "user_idx": np.arange(len(n)),
        "cold_users": np.arange(len(n)) == 0,
        "n_ratings": np.array(n),
        "squared_error": np.array(squared, float),
        "absolute_error": np.array(absolute, float),
    }


def test_rating_errors_are_compared_on_the_users_error_sums() -> None:
    a = errors([4, 2, 0, 9], [2, 2, 0, 3], [1, 2, 0, 3])
    b = errors([1, 8, 0, 3], [1, 4, 0, 3], [1, 2, 0, 3])
    found = compare(a, b, "rmse")
    assert found.n_users == 3  # the third has no rated pair
    assert found.value_a == pytest.approx(math.sqrt(15 / 6))
    assert found.value_b == pytest.approx(math.sqrt(12 / 6))
    assert found.difference == pytest.approx(math.sqrt(15 / 6) - math.sqrt(12 / 6))
    assert (found.wins, found.losses) == (1, 2)  # lower is better
    assert compare(a, b, "mae").value_a == pytest.approx(7 / 6)
    assert compare(a, b, "mse").p_value == found.p_value
    macro = compare(a, b, "rmse_user")
    assert macro.value_a == pytest.approx((2 + 1 + math.sqrt(3)) / 3)
    cold = compare(a, b, "cold_users/mse")
    assert (cold.n_users, cold.value_a, cold.value_b) == (1, 4, 1)


def test_segments_of_items_and_of_users_can_be_compared() -> None:
    cold = np.array([True, False, True])
    a = columns([1, 2, 3], **{"tail_items/ndcg_at_10": np.array([5, 6, np.nan])}, cold_users=cold)
    b = columns([0, 0, 0], **{"tail_items/ndcg_at_10": np.array([1, 1, 1.0])}, cold_users=cold)
    assert compare(a, b, "tail_items/ndcg@10").value_a == 5.5
    assert compare(a, b, "cold_users/ndcg@10").value_a == 2


def test_what_is_not_there_is_said() -> None:
    a = columns([1, 2, 3])
    with pytest.raises(ConfigError, match=r"no metric 'ndgc@10'.*did you mean 'ndcg@10'"):
        compare(a, a, "ndgc@10")
    with pytest.raises(ConfigError, match="test=sign; accepted: permutation, t, wilcoxon"):
        compare(a, a, "ndcg@10", test="sign")  # type: ignore[arg-type]


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04 -> never below the one before
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_a_table_is_corrected_as_a_whole() -> None:
    rng = np.random.default_rng(5)
    table = [compare(columns(rng.random(30)), columns(rng.random(30)), "ndcg@10") for _ in "abc"]
    corrected = correct(table)
    expected = holm(np.array([c.p_value for c in table]))
    assert [c.p_holm for c in corrected] == expected.tolist()
    assert all(math.isnan(c.p_holm) for c in table)


def test_runs_on_other_data_or_splits_are_refused() -> None:
    a = Identity("first", "d" * 64, "s" * 64)
    check_comparable(a, Identity("second", "d" * 64, "s" * 64))
    with pytest.raises(ConfigError) as error:
        check_comparable(a, Identity("second", "d" * 64, "z" * 64))
    assert "first and second" in str(error.value)
    assert "splits differ" in str(error.value)
    assert "data differ" not in str(error.value)
    with pytest.raises(ConfigError, match=r"data differ .* and their splits differ"):
        check_comparable(a, Identity("second", "e" * 64, "z" * 64))


@pytest.mark.slow
@pytest.mark.parametrize("test", ["permutation", "t", "wilcoxon"])
def test_under_the_null_5_percent_of_comparisons_fall_below_5_percent(test: Any) -> None:
    rng = np.random.default_rng(6)
    n_comparisons, n_users = 2000, 60
    below = 0
    for seed in range(n_comparisons):
        shared = rng.gamma(1.0, size=n_users)  # users differ, runs do not: pairs correlate
        a, b = (columns(shared + rng.exponential(0.5, n_users)) for _ in "ab")
        below += compare(a, b, "ndcg@10", test=test, seed=seed, n_resamples=0).p_value < 0.05
    # 95 % of binomial(2000, .05) lie within .0405 and .0595; three deviations are allowed
    assert abs(below / n_comparisons - 0.05) < 3 * math.sqrt(0.05 * 0.95 / n_comparisons)


@pytest.mark.slow
def test_holm_keeps_the_family_wise_error() -> None:
    rng = np.random.default_rng(7)
    n_tables, n_runs, n_users = 1000, 6, 50
    any_false, any_false_uncorrected = 0, 0
    for seed in range(n_tables):
        runs = [columns(rng.random(n_users)) for _ in range(n_runs)]
        table: list[Comparison] = [
            compare(run, runs[0], "ndcg@10", test="t", seed=seed, n_resamples=0) for run in runs[1:]
        ]
        any_false += any(c.p_holm < 0.05 for c in correct(table))
        any_false_uncorrected += any(c.p_value < 0.05 for c in table)
    assert any_false / n_tables < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n_tables)
    assert any_false_uncorrected / n_tables > 0.1  # what the correction is for
