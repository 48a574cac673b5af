"""Recorded runs side by side: what is chosen, refused, said, and how it is written."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import recexp
from recexp.__main__ import main
from recexp.comparison import SIMPLE, compare
from recexp.config import options
from recexp.errors import ConfigError, StorageError
from recexp.evaluation.pairs import Pairs, compare_all
from recexp.reporting.comparison import letter
from recexp.reporting.comparison_formats import FORMATS, document


@pytest.fixture
def copy(recorded: Any, tmp_path: Path) -> Path:
    """The database of the recorded runs, to be changed; their files stay where they are."""
    path = tmp_path / "mlflow.db"
    shutil.copy(recorded.uri.removeprefix("sqlite:///"), path)
    return path


def change(database: Path, statement: str, *values: Any) -> str:
    with sqlite3.connect(database) as connection:
        connection.execute(statement, values)
    return f"sqlite:///{database}"


@pytest.fixture
def small(recorded: Any) -> Any:
    return compare(experiment="small", segments=True, uri=recorded.uri)


def test_rows_are_ordered_by_the_objective_and_have_what_was_recorded(
    small: Any, recorded: Any
) -> None:
    from recexp.tracking.records import RunReader

    values = [one.value for one in small.metrics[0].estimates]
    assert values == sorted(values, reverse=True)
    assert small.metrics[0].metric == "ndcg@10"
    for run, one in zip(small.runs, small.metrics[0].estimates, strict=True):
        (found,) = RunReader(recorded.uri).named([run.run_id])
        assert one.value == pytest.approx(found.metrics["ndcg_at_10"], rel=1e-12)
        assert one.ci_low == pytest.approx(found.metrics["ndcg_at_10_ci_low"], rel=1e-12)
        assert run.costs["time/fit_seconds"] == found.metrics["time/fit_seconds"]


def test_segments_are_those_recorded_and_have_their_values(small: Any, recorded: Any) -> None:
    from recexp.tracking.records import RunReader

    names = [table.metric for table in small.segments]
    assert {"warm_users/ndcg@10", "tail_items/ndcg@10"} <= set(names)
    (found,) = RunReader(recorded.uri).named([small.runs[0].run_id])
    for table in small.segments:
        recorded_value = found.metrics[table.metric.replace("@", "_at_")]
        assert table.estimates[0].value == pytest.approx(recorded_value, rel=1e-12)


def test_p_values_are_corrected_over_all_metrics_of_the_table(recorded: Any) -> None:
    found = compare(experiment="small", metrics=["ndcg@10", "recall@10"], uri=recorded.uri)
    assert found.tested == 2 * 6
    p = sorted(one.p_value for table in found.metrics for one in table.comparisons.values())
    holm = sorted(one.p_holm for table in found.metrics for one in table.comparisons.values())
    assert holm[0] == pytest.approx(min(1.0, 12 * p[0]))


def test_differences_are_to_the_best_simple_run_or_to_the_one_named(recorded: Any) -> None:
    found = compare(experiment="small", uri=recorded.uri)
    simple = [i for i, run in enumerate(found.runs) if run.algo in SIMPLE]
    assert found.baseline == simple[0]
    for text in (
        "popularity",
        recorded.ids["small/popularity"][:8],
        "popularity-synthetic-temporal",
    ):
        named = compare(experiment="small", baseline=text, uri=recorded.uri)
        assert named.runs[named.baseline].algo == "popularity"
    with pytest.raises(ConfigError, match=r"no run 'poplarity' among .*did you mean 'popularity'"):
        compare(experiment="small", baseline="poplarity", uri=recorded.uri)


def test_every_simple_algorithm_exists() -> None:
    assert set(SIMPLE) <= set(options("algo"))


def test_runs_on_other_splits_are_refused_and_what_differs_is_said(recorded: Any) -> None:
    with pytest.raises(ConfigError) as error:
        compare(experiment="splits", uri=recorded.uri)
    assert "splits differ" in str(error.value)
    assert "data differ" not in str(error.value)
    assert re.search(r"split \((random, temporal|temporal, random)\)", str(error.value))
    found = compare(experiment="splits", filter="params.split = 'temporal'", uri=recorded.uri)
    assert {run.algo for run in found.runs} == {"popularity", "itemknn"}


def test_runs_on_other_data_are_refused(copy: Path, recorded: Any) -> None:
    uri = change(
        copy,
        "UPDATE tags SET value = 'other' WHERE key = 'recexp.dataset_fingerprint' AND run_uuid = ?",
        recorded.ids["small/ease"],
    )
    with pytest.raises(ConfigError, match=r"their data differ"):
        compare(experiment="small", uri=uri)


def test_runs_measured_otherwise_are_refused(copy: Path, recorded: Any) -> None:
    uri = change(
        copy,
        "UPDATE params SET value = 'train' WHERE key = 'candidates' AND run_uuid = ?",
        recorded.ids["small/ease"],
    )
    with pytest.raises(ConfigError, match=r"measured differently: candidates=.* and candidates="):
        compare(experiment="small", uri=uri)


def test_only_finished_runs_are_compared(copy: Path, recorded: Any) -> None:
    id_ = recorded.ids["small/ease"]
    uri = change(copy, "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?", id_)
    with pytest.raises(StorageError, match=r"is still running; wait"):
        compare(id_, recorded.ids["small/als"], uri=uri)
    found = compare(experiment="small", uri=uri)
    assert {run.algo for run in found.runs} == {"popularity", "itemknn", "als"}
    assert any("is still running" in note for note in found.notes)
    change(copy, "UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?", id_)
    change(copy, "INSERT INTO tags VALUES ('recexp.reason', 'MemoryError: much', ?)", id_)
    with pytest.raises(StorageError, match=r"did not finish: FAILED, MemoryError: much"):
        compare(id_, recorded.ids["small/als"], uri=uri)


def test_a_run_without_per_user_values_is_told(copy: Path, recorded: Any, tmp_path: Path) -> None:
    id_ = recorded.ids["small/ease"]
    (tmp_path / "files").mkdir()
    folder = (tmp_path / "files").as_uri()
    uri = change(copy, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", folder, id_)
    with pytest.raises(StorageError, match=r"has no per_user\.parquet.*run it again"):
        compare(id_, recorded.ids["small/als"], uri=uri)
    found = compare(experiment="small", uri=uri)
    assert any("has no per_user.parquet" in note for note in found.notes)


def test_a_run_of_another_tool_is_told(copy: Path, recorded: Any) -> None:
    id_ = recorded.ids["small/ease"]
    uri = change(copy, "DELETE FROM tags WHERE run_uuid = ?", id_)
    with pytest.raises(StorageError, match=r"was not made by recexp"):
        compare(id_, recorded.ids["small/als"], uri=uri)


def test_older_runs_of_a_configuration_and_reruns_are_left_out(copy: Path, recorded: Any) -> None:
    old, new = recorded.ids["small/itemknn"], recorded.ids["small/ease"]
    hash_of = "(SELECT value FROM tags WHERE key = 'recexp.config_hash' AND run_uuid = ?)"
    uri = change(
        copy,
        f"UPDATE tags SET value = {hash_of} WHERE key = 'recexp.config_hash' AND run_uuid = ?",
        new,
        old,
    )
    change(copy, "INSERT INTO tags VALUES ('recexp.reproduces', 'x', ?)", recorded.ids["small/als"])
    found = compare(experiment="small", uri=uri)
    assert {run.algo for run in found.runs} == {"ease", "popularity"}
    assert "1 older runs of the same configurations are left out" in found.notes


def test_what_cannot_be_asked_is_said(recorded: Any) -> None:
    with pytest.raises(ConfigError, match=r"name the runs, or an experiment of .*: splits, small"):
        compare(uri=recorded.uri)
    with pytest.raises(ConfigError, match=r"expected at least 2 runs to compare, found 1"):
        compare("ease-synthetic-temporal", uri=recorded.uri)
    with pytest.raises(ConfigError, match=r"has no metric 'ndgc@10'; did you mean 'ndcg@10'"):
        compare(experiment="small", metrics=["ndgc@10"], uri=recorded.uri)
    with pytest.raises(ConfigError, match=r"has no segment 'tail_item'; did you mean 'tail_items'"):
        compare(experiment="small", metrics=["tail_item/ndcg@10"], uri=recorded.uri)


def test_a_metric_of_all_lists_has_no_test(recorded: Any) -> None:
    found = compare(experiment="small", metrics=["coverage@10"], uri=recorded.uri)
    assert found.tested == 0
    assert (
        max(one.value for one in found.metrics[0].estimates) == found.metrics[0].estimates[0].value
    )


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.2, "is significantly better than"), (0.0001, "is NOT significantly better than")],
)
def test_the_gate_says_whether_the_best_beats_the_best_simple_one(shift: float, words: str) -> None:
    import numpy as np

    from recexp.comparison import _verdict
    from recexp.evaluation.pairs import correct_together

    rng = np.random.default_rng(0)
    base = rng.random(100)
    ids = np.arange(100)
    better = base + shift + rng.normal(0, 0.05, 100)
    better += base.mean() + shift - better.mean()
    runs = [{"user_id": ids, "ndcg_at_10": values} for values in (better, base)]
    (table,) = correct_together([compare_all(runs, "ndcg@10")])
    text = _verdict(table, ["new", "ease"], 1)
    assert f"The best, new, {words} the best simple baseline, ease" in text
    assert "one of them" in _verdict(table, ["ease", "popularity"], 0)
    assert "No simple baseline" in _verdict(table, ["new", "newer"], None)


def test_runs_of_one_algorithm_are_told_apart_by_what_differs() -> None:
    from recexp.comparison import label
    from recexp.tracking.records import RunKey, RunRecord

    def run(id_: str, **params: str) -> RunRecord:
        return RunRecord(RunKey(id_, "n", "e", "FINISHED", 0), "", params, {}, {})

    runs = [
        run("1" * 32, algo="svd", **{"algo.lr": "0.01234567", "algo.epochs": "5"}),
        run("2" * 32, algo="svd", **{"algo.lr": "20.0", "algo.epochs": "5"}),
        run("3" * 32, algo="ease"),
        run("4" * 32, algo="ease"),
    ]
    names = ["svd lr=0.01235", "svd lr=20", "ease 33333333", "ease 44444444"]
    assert label(runs) == names


def test_the_noise_of_seeds_is_shown() -> None:
    from recexp.comparison import _seed_noise
    from recexp.evaluation.summary import Estimate
    from recexp.tracking.records import RunKey, RunRecord

    def run(algo: str, seed: str) -> RunRecord:
        key = RunKey(algo + seed, "n", "e", "FINISHED", 0)
        return RunRecord(key, "", {"algo": algo, "algo.epochs": "5", "seed": seed}, {}, {})

    runs = [run("svd", "1"), run("svd", "2"), run("ease", "1"), run("svd", "3")]
    nan = float("nan")
    values = [Estimate("ndcg@10", "", value, nan, nan, 9) for value in (0.3, 0.5, 0.6, 0.4)]
    table = Pairs("ndcg@10", 9, tuple(values), {})
    assert _seed_noise(table, runs) == ["svd over 3 seeds: ndcg@10 0.4000, sd 0.1000"]


# Formats


def test_the_table_shows_letters_best_and_verdict(small: Any) -> None:
    text = FORMATS["table"](small)
    best = small.metrics[0].estimates[0].value
    assert f"*{best:.4f} [" in text
    assert small.verdict in text
    assert "Holm over 6 comparisons" in text
    assert "ndcg@10 by segment" in text
    row = next(line for line in text.splitlines() if line.startswith("a "))
    marks = "".join(letter(i) for i in small.metrics[0].beaten_by(0)) or "-"
    assert marks in row.split()


def test_markdown_is_a_table_with_bold_best_and_raised_letters(small: Any) -> None:
    text = FORMATS["markdown"](small)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines[: len(small.runs) + 2]}) == 1
    assert f"**{small.metrics[0].estimates[0].value:.4f}**" in text


def hostile(found: Any, name: str) -> Any:
    from dataclasses import replace

    runs = tuple(replace(run, label=name) for run in found.runs)
    return replace(found, runs=runs)


def test_markdown_and_latex_show_hostile_names_as_text(small: Any) -> None:
    bad = hostile(small, "a|b<script>_x_$y^2&50%#{}~\\input{z}")
    text = FORMATS["markdown"](bad)
    assert "<script>" not in text
    assert r"a\|b&lt;script&gt;" in text
    latex = FORMATS["latex"](bad)
    assert r"\textbackslash{}input\{z\}" in latex
    assert r"\$y\textasciicircum{}2\&50\%\#" in latex


def test_latex_has_whole_tables(small: Any) -> None:
    text = FORMATS["latex"](small)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert rf"\textbf{{{small.metrics[0].estimates[0].value:.4f}}}" in text
    for table in text.split(r"\begin{tabular}")[1:]:
        columns = table[1 : table.index("}")]
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert {line.replace(r"\&", "").count("&") for line in rows} == {len(columns) - 1}


def test_json_has_every_number_and_is_finite(small: Any) -> None:
    found = json.loads(FORMATS["json"](small), parse_constant=pytest.fail)
    assert [run["run_id"] for run in found["runs"]] == [run.run_id for run in small.runs]
    assert len(found["comparisons"]) == 6 * (1 + len(small.segments))
    one = found["comparisons"][0]
    pair = small.metrics[0].between(0, 1)
    assert (one["a"], one["b"]) == (small.runs[0].run_id, small.runs[1].run_id)
    assert (one["difference"], one["p_holm"]) == (pair.difference, pair.p_holm)
    assert found["runs"][0]["metrics"]["ndcg_at_10"] == small.metrics[0].estimates[0].value
    assert document(small)["verdict"] == small.verdict


def test_frames_for_pandas(recorded: Any) -> None:
    found = recexp.compare(experiment="small", metrics=["ndcg@10", "coverage@10"], uri=recorded.uri)
    table, pairs = found.table, found.pairs
    assert list(table["algo"]) == [run.algo for run in found.runs]
    assert table["ndcg@10"].is_monotonic_decreasing
    assert (table["ndcg@10_ci_low"] <= table["ndcg@10"]).all()
    assert len(pairs) == 6
    assert {"a", "b", "metric", "difference", "p_holm"} <= set(pairs.columns)


# The command


def test_the_command_prints_and_writes(
    recorded: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.uri)
    assert main(["compare", "--experiment", "small"]) == 0
    assert "4 runs" in capsys.readouterr().out
    path = tmp_path / "table.md"
    command = ["compare", "--experiment", "small", "--format", "markdown", "--output", str(path)]
    assert main(command) == 0
    assert capsys.readouterr().out == ""
    assert path.read_text(encoding="utf-8").startswith("**synthetic, temporal split")
    assert main(["compare", "nobody", "--experiment", "small"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recexp: no run 'nobody'")
    assert error.count("\n") == 1
    missing = tmp_path / "no" / "folder.md"
    assert main(["compare", "--experiment", "small", "--output", str(missing)]) == 2


def test_a_damaged_file_of_values_is_told(copy: Path, recorded: Any, tmp_path: Path) -> None:
    id_ = recorded.ids["small/ease"]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "per_user.parquet").write_bytes(b"PAR1 cut off")
    folder = (tmp_path / "files").as_uri()
    uri = change(copy, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", folder, id_)
    with pytest.raises(recexp.errors.DataError, match=r"per_user\.parquet cannot be read"):
        compare(id_, recorded.ids["small/als"], uri=uri)
