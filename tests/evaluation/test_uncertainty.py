"""The bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.evaluation import uncertainty
from recexp.evaluation.uncertainty import bootstrap_means, percentile_interval


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_resample_is_n_users_with_replacement() -> None:
    n = 40
    means = bootstrap_means(np.eye(n), rng(), 300)  # row u: how often user u was drawn / n
    counts = np.rint(means * n)
    np.testing.assert_allclose(means * n, counts, atol=1e-9)
    assert (counts.sum(axis=0) == n).all()
    # n draws from n users leave one out with probability (1 - 1/n)^n
    assert (counts == 0).mean() == pytest.approx((1 - 1 / n) ** n, abs=0.01)
    assert counts.var() == pytest.approx(1 - 1 / n, abs=0.05)


def test_all_metrics_share_the_resamples() -> None:
    x = rng().random(50)
    one, other = bootstrap_means(np.stack([x, 3 - 2 * x]), rng(), 100)
    np.testing.assert_allclose(other, 3 - 2 * one, atol=1e-12)


def test_a_mean_is_over_the_resampled_users_who_are_in_it() -> None:
    x = rng().random(50)
    some = np.where(np.arange(50) < 20, x, np.nan)
    whole, part, rest, share = bootstrap_means(
        np.stack([x, some, np.where(np.isnan(some), x, np.nan), ~np.isnan(some)]), rng(), 200
    )
    np.testing.assert_allclose(whole, share * part + (1 - share) * rest, atol=1e-12)


def test_a_resample_that_holds_nobody_of_a_mean_says_nothing_of_it() -> None:
    values = np.full((1, 30), np.nan)
    values[0, :2] = [1.0, 3.0]
    means = bootstrap_means(values, rng(), 2000)
    nobody = np.isnan(means).mean()
    assert nobody == pytest.approx((1 - 2 / 30) ** 30, abs=0.02)
    assert set(np.unique(np.round(means[~np.isnan(means)], 9))) > {1.0, 2.0, 3.0}
    low, high = percentile_interval(means)
    assert (low[0], high[0]) == (1.0, 3.0)


@pytest.mark.parametrize("draws", [1, 37 * 7, 1 << 20])
def test_neither_memory_nor_threads_change_the_resamples(
    draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = rng().random((3, 37))
    expected = bootstrap_means(values, rng(), 250)
    monkeypatch.setattr(uncertainty, "_BLOCK_DRAWS", draws)
    monkeypatch.setattr(uncertainty.os, "cpu_count", lambda: 3 if draws > 1 else None)
    np.testing.assert_allclose(bootstrap_means(values, rng(), 250), expected, rtol=0, atol=1e-15)


def test_fewer_resamples_are_the_first_of_more() -> None:
    values = rng().random((2, 30))
    many, few = bootstrap_means(values, rng(), 250), bootstrap_means(values, rng(), 120)
    np.testing.assert_allclose(few, many[:, :120], rtol=0, atol=1e-15)


def test_the_interval_agrees_with_scipy_s_percentile_bootstrap() -> None:
    from scipy.stats import bootstrap

    x = rng().gamma(2.0, size=400)
    low, high = percentile_interval(bootstrap_means(x[None], rng(), 20_000))
    theirs = bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=rng(), batch=1000
    ).confidence_interval
    width = theirs.high - theirs.low
    assert low[0] == pytest.approx(theirs.low, abs=0.03 * width)
    assert high[0] == pytest.approx(theirs.high, abs=0.03 * width)


def test_a_95_percent_interval_holds_the_mean_in_about_95_of_100_experiments() -> None:
    samples = rng().random((600, 80))
    held = 0
    for sample in samples:
        low, high = percentile_interval(bootstrap_means(sample[None], rng(), 400))
        held += bool(low[0] <= 0.5 <= high[0])
    assert 0.915 < held / 600 < 0.975


def test_without_resamples_there_is_no_interval() -> None:
    low, high = percentile_interval(bootstrap_means(np.ones((2, 5)), rng(), 0))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
