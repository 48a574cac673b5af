"""What a run shows: tables, headline numbers, plots."""

from __future__ import annotations

from pathlib import Path

import pytest

import recexp
from recexp.evaluation.summary import Estimate
from recexp.experiment import Result
from recexp.reporting import plots
from recexp.reporting.headline import headline
from recexp.reporting.tables import align, estimate_text, outcome_table


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        return recexp.run("dataset=synthetic", "tracking=none", "validation=same")


def test_columns_are_aligned() -> None:
    assert align([["a", "b"], ["long", "1.5"]]) == "a       b\nlong  1.5"


def test_an_estimate_reads_with_its_interval() -> None:
    nan = float("nan")
    assert estimate_text(Estimate("m", "", 0.5, 0.25, 0.75, 3)) == "0.5000 [0.2500, 0.7500]"
    assert estimate_text(Estimate("m", "", 0.5, nan, nan, 3)) == "0.5000"
    assert estimate_text(Estimate("m", "", nan, nan, nan, 0)) == "-"


def test_the_table_has_metrics_intervals_segments_counts_and_times(result: Result) -> None:
    table = outcome_table(result.outcome)
    lines = table.splitlines()
    assert lines[0] == "popularity on synthetic, temporal split, seed 42"
    value = result.metrics["ndcg_at_10"]
    low, high = result.metrics["ndcg_at_10_ci_low"], result.metrics["ndcg_at_10_ci_high"]
    ndcg = next(line for line in lines if line.startswith("ndcg "))
    assert f"{value:.4f} [{low:.4f}, {high:.4f}]" in ndcg
    assert lines[4].startswith("ndcg")  # the objective leads
    for word in ("warm_users", "cold_items", "rmse", "evaluated", "seconds", "calibrated"):
        assert word in table
    assert max(map(len, lines)) < 160


def test_the_headline_has_every_kind_of_number_and_stays_small(result: Result) -> None:
    metrics = headline(result.outcome)
    assert len(metrics) <= 200
    for name in (
        *("ndcg_at_5", "recall_at_20_ci_high", "val/ndcg_at_10", "warm_users/ndcg_at_10"),
        *("warm_users/n_users", "tail_items/recall_at_10", "time/fit_seconds", "data/n_users"),
        *("split/n_train", "answered/model", "tied_boundary_share", "fallback_share"),
    ):
        assert name in metrics
    by_key = {one.key: one for one in result.outcome.evaluation.table}
    assert metrics["tail_items/recall_at_10"] == by_key["tail_items/recall_at_10"].value
    assert metrics["warm_users/n_users"] == by_key["warm_users/ndcg_at_10"].n_users


def test_plots_are_written_as_pictures(result: Result, tmp_path: Path) -> None:
    plots.write(tmp_path / "plots", result.outcome)
    for name in ("metrics_at_k.png", "segments.png"):
        content = (tmp_path / "plots" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5_000


def test_curves_go_through_the_estimates(result: Result) -> None:
    overall = [one for one in result.outcome.evaluation.table if not one.segment]
    axes = plots.metrics_at_k(overall, "title").axes[0]
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}
    assert drawn["ndcg"] == [result.metrics[f"ndcg_at_{k}"] for k in (5, 10, 20)]
    assert axes.get_title() == "title"
