"""Metric names: what they stand for, and what is said when they stand for nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recexp.errors import ConfigError
from recexp.evaluation.metrics import (
    METRICS,
    describe_metrics,
    list_length,
    lower_is_better,
    metric_name,
    mlflow_name,
    parse_metric,
    select,
)
from recexp.evaluation.registry import Kind


def test_every_metric_of_the_definitions_is_there_under_its_name() -> None:
    ranking = "precision recall recall_capped f1 hit_rate mrr map map_capped ndcg ndcg_graded auc"
    ratings = "mse rmse mae rmse_user mae_user"
    beyond = "coverage gini popularity novelty diversity serendipity calibration"
    assert set(METRICS) == {*ranking.split(), *ratings.split(), *beyond.split()}


def test_the_description_gives_formula_and_source_in_one_line() -> None:
    described = describe_metrics()
    assert described["precision"] == "sum(h_1..h_k) / k [trec_eval P]"
    assert all("\n" not in text and text.endswith("]") for text in described.values())


def test_a_name_without_cutoff_is_taken_at_all_cutoffs() -> None:
    names = [m.name for m in select(["ndcg", "recall@7", "auc", "ndcg@10"], (5, 10))]
    assert names == ["ndcg@5", "ndcg@10", "recall@7", "auc"]


def test_lists_must_reach_the_largest_cutoff() -> None:
    assert list_length(select(["ndcg", "recall@50", "auc"], (5, 10))) == 50
    assert list_length(select(["auc"], (5, 10))) == 1


def test_one_function_converts_to_mlflow_s_names_and_one_back() -> None:
    assert mlflow_name("precision@10") == "precision_at_10"
    for name in ("precision@10", "auc", "tail_items/ndcg@5", "my_pkg.my_metric@10"):
        assert metric_name(mlflow_name(name)) == name
        assert "@" not in mlflow_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "no metric 'ndgc'; did you mean 'ndcg'?"),
        ("zzzzz", "no metric 'zzzzz'; accepted: auc,"),
        ("ndcg@0", "whole number from 1 after '@'"),
        ("ndcg@", "whole number from 1 after '@'"),
        ("ndcg@-5", "whole number from 1 after '@'"),
        ("ndcg@1.5", "whole number from 1 after '@'"),
        ("rmse@10", "rmse has no cutoff; write 'rmse'"),
        ("no_such_package.metric@5", "cannot import no_such_package"),
    ],
)
def test_a_name_that_stands_for_nothing_is_an_error(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_metric(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cutoff_below_1_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cutoffs="):
        select(["ndcg"], (0, 5))


def test_a_metric_from_outside_is_a_dotted_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside_metrics.py").write_text(
        "def doubled_hits(judged):\n"
        "    'Twice the hits.'\n"
        "    return 2.0 * judged.hits.sum(axis=1)\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    measure = parse_metric("outside_metrics.doubled_hits@10")
    assert measure.name == "outside_metrics.doubled_hits@10"
    assert measure.metric.kind is Kind.RELEVANCE
    assert measure.metric.formula == "Twice the hits."
    with pytest.raises(ConfigError, match="did you mean 'doubled_hits'"):
        parse_metric("outside_metrics.doubled_hit@10")
    with pytest.raises(ConfigError, match="is no function"):
        parse_metric("outside_metrics.number")
    del sys.modules["outside_metrics"]


def test_errors_divergence_and_inequality_are_better_when_lower() -> None:
    assert [n for n in METRICS if lower_is_better(n)] == [
        *("gini", "calibration"),
        *("mse", "rmse", "mae", "rmse_user", "mae_user"),
    ]
    assert not lower_is_better("ndcg@10")
    assert not lower_is_better("gone_pkg.metric@10")
