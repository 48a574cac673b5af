"""All pairs of several runs: the same answers as one pair at a time, from shared randomness."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from recexp.errors import ConfigError, DataError
from recexp.evaluation.pairs import compare_all, correct_together, is_better, sign_flip_sums
from recexp.evaluation.significance import compare, holm, p_value_of_count
from recexp.evaluation.summary import summarize


def run(values: Any, ids: Any = None, **others: Any) -> dict[str, Any]:
    values = np.asarray(values, float)
    ids = np.arange(len(values)) if ids is None else np.asarray(ids)
    return {"user_id": ids, "ndcg_at_10": values, **others}


def three(n: int = 80) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    base = rng.random(n)
    return [run(base + rng.normal(shift, 0.2, n)) for shift in (0.0, 0.02, 0.3)]


def test_every_pair_is_what_comparing_the_two_says() -> None:
    runs = three()
    found = compare_all(runs, "ndcg@10")
    for i, j in itertools.permutations(range(3), 2):
        ours, alone = found.between(i, j), compare(runs[i], runs[j], "ndcg@10")
        assert ours.difference == pytest.approx(alone.difference, rel=1e-12)
        assert ours.effect_size == pytest.approx(alone.effect_size)
        assert (ours.wins, ours.ties, ours.losses) == (alone.wins, alone.ties, alone.losses)
        assert (ours.value_a, ours.value_b) == pytest.approx((alone.value_a, alone.value_b))
        # The same resamples, and as many sign patterns, drawn otherwise.
        assert (ours.ci_low, ours.ci_high) == pytest.approx((alone.ci_low, alone.ci_high))
        assert ours.p_value == pytest.approx(alone.p_value, abs=0.02)


def test_the_p_values_are_those_of_scipys_permutation_test() -> None:
    from scipy.stats import permutation_test

    runs = three(60)
    theirs = permutation_test(
        (runs[0]["ndcg_at_10"] - runs[1]["ndcg_at_10"],),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    ours = compare_all(runs, "ndcg@10").between(0, 1).p_value
    assert ours == pytest.approx(theirs.pvalue, abs=0.012)


def test_a_pair_has_the_same_p_value_whatever_else_is_in_the_table() -> None:
    runs = three()
    alone = compare_all(runs[:2], "ndcg@10").between(0, 1)
    assert compare_all(runs, "ndcg@10").between(0, 1) == alone


def test_all_rows_are_flipped_by_the_same_signs() -> None:
    values = np.array([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    sums = sign_flip_sums(values, 7, 400)
    np.testing.assert_allclose(sums[1], 2 * sums[0])
    patterns = {s[0] + 10 * s[1] + 100 * s[2] for s in itertools.product((-1, 1), repeat=3)}
    assert set(np.round(sums[0]).tolist()) == patterns  # all 8, and nothing else
    assert abs(sums[0].mean()) < 3 * 101 / math.sqrt(400)


def test_estimates_are_those_that_the_run_recorded() -> None:
    rng = np.random.default_rng(3)
    n = 50
    rated = rng.integers(0, 4, n)
    columns = {
        "user_id": np.arange(n),
        "n_relevant": (np.arange(n) % 5 > 0).astype(np.int64),
        "warm_users": np.arange(n) % 3 == 0,
        "ndcg_at_10": np.where(np.arange(n) % 5 > 0, rng.random(n), np.nan),
        "n_ratings": rated,
        "squared_error": rated * rng.random(n),
        "absolute_error": rated * rng.random(n),
    }
    recorded = {(one.segment, one.metric): one for one in summarize(columns, seed=9)}
    for name in ("ndcg@10", "warm_users/ndcg@10", "rmse", "mae", "rmse_user", "warm_users/mse"):
        segment, _, metric = name.rpartition("/")
        (ours, _) = compare_all([columns, columns], name, seed=9).estimates
        theirs = recorded[segment, metric]
        assert ours.n_users == theirs.n_users
        assert (ours.value, ours.ci_low, ours.ci_high) == pytest.approx(
            (theirs.value, theirs.ci_low, theirs.ci_high), rel=1e-12
        )


def test_equal_runs_do_not_differ() -> None:
    found = compare_all([run([0.1, 0.5, 0.9])] * 2, "ndcg@10").between(1, 0)
    assert (found.difference, found.p_value, found.effect_size, found.ties) == (0, 1, 0, 3)
    assert math.copysign(1, found.difference) == 1  # no "-0.0000" in tables
    assert compare_all([run([0.1, 0.5, 0.9])] * 2, "ndcg@10").best() == set()


def test_equal_sums_count_as_equal_whatever_the_rounding() -> None:
    # d = 0.1, 0.2, -0.3 has the sum 0, which every pattern reaches; in floats it is 5.6e-17.
    a, b = run([0.1, 0.2, 0.0]), run([0.0, 0.0, 0.3])
    assert compare_all([a, b], "ndcg@10").between(0, 1).p_value == 1.0


def test_users_are_matched_by_id_and_only_those_of_all_runs_count() -> None:
    a = run([1.0, 2.0, 3.0, 4.0], ["u1", "u2", "u3", "u4"])
    b = run([40.0, 20.0, 30.0], ["u4", "u2", "u3"])
    c = run([np.nan, 0.0, 0.0], ["u3", "u4", "u2"])
    found = compare_all([a, b, c], "ndcg@10")
    assert found.n_users == 2  # u2 and u4
    assert [one.value for one in found.estimates] == [3.0, 30.0, 0.0]
    with pytest.raises(DataError, match="no user has 'ndcg@10' in all 2 runs"):
        compare_all([a, run([1.0], ["other"])], "ndcg@10")
    with pytest.raises(ConfigError, match="no metric 'map@5'"):
        compare_all([a, b], "map@5")


def test_letters_go_to_those_who_are_better_also_where_less_is_better() -> None:
    rng = np.random.default_rng(5)
    n = 200

    def errors(scale: float) -> dict[str, Any]:
        squared = scale * rng.random(n)
        ones = np.ones(n, np.int64)
        return {
            "user_id": np.arange(n),
            "n_ratings": ones,
            "squared_error": squared,
            "absolute_error": np.sqrt(squared),
        }

    table = compare_all([errors(4.0), errors(1.0)], "rmse")
    (table,) = correct_together([table])
    assert table.best() == {1}
    assert (table.beaten_by(1), table.beaten_by(0)) == ([0], [])
    assert table.between(1, 0).wins > 150
    assert is_better(table.between(1, 0))
    assert not is_better(table.between(0, 1))


def test_another_order_of_the_runs_changes_places_only() -> None:
    found = compare_all(three(), "ndcg@10")
    turned = found.reordered([2, 0, 1])
    assert turned.estimates == tuple(found.estimates[i] for i in (2, 0, 1))
    assert turned.between(0, 2) == found.between(2, 1)
    assert turned.between(2, 1) == found.between(1, 0)


def test_p_values_are_corrected_over_all_tables_together() -> None:
    tables = [compare_all(three(30), "ndcg@10"), compare_all(three(31), "ndcg@10")]
    raw = [one.p_value for table in tables for one in table.comparisons.values()]
    found = [one.p_holm for table in correct_together(tables) for one in table.comparisons.values()]
    assert found == holm(np.array(raw)).tolist()


def test_a_clear_difference_stays_significant_among_hundreds_of_pairs() -> None:
    """10,000 patterns alone give no p-value below 1e-4; times 1,225 pairs, that is over 0.1."""
    d = np.random.default_rng(6).normal(0.5, 1, 400)
    z = abs(d.sum()) / math.sqrt(d @ d)
    p = p_value_of_count(0, 10_000, d)
    normal = math.erfc(z / math.sqrt(2))
    assert normal <= p <= 3.2 * normal
    assert p * 1225 < 1e-6
    assert p_value_of_count(3, 10_000, d) == 4 / 10_001  # what was counted is not replaced


def test_the_bound_is_never_below_the_exact_p_value() -> None:
    rng = np.random.default_rng(8)
    for n in (4, 8, 12):
        for d in (np.ones(n), rng.random(n), np.append(np.full(n - 1, 0.01), 1.0)):
            signs = np.array(list(itertools.product((-1, 1), repeat=n)))
            exact = float((np.abs(signs @ d) >= d.sum() - 1e-12).mean())
            bound = 3.178 * math.erfc(d.sum() / math.sqrt(2 * (d @ d)))
            assert bound >= exact
