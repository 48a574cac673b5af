"""The whole line, end to end: what is computed, what is recorded, how it ends."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import recexp
from recexp.algorithms.popularity import Popularity
from recexp.errors import ConfigError, DataError, RecexpError, StorageError
from recexp.experiment import Result

SMALL = ("dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60")
SMALL += ("dataset.n_interactions=1200", "plots=false")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a tracking store of its own, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    """One recorded run on the real MovieLens-100K that many tests look at."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        yield folder, recexp.run("algo=popularity", "dataset=movielens", "split=temporal")


def artifacts(folder: Path, run_id: str) -> Path:
    return folder / "mlruns" / "recexp" / run_id / "artifacts"


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(query).fetchall()


def test_the_metrics_of_popularity_on_movielens_are_those_of_a_naive_count(
    shared: tuple[Path, Result], movielens: recexp.data.dataset.Dataset
) -> None:
    """An independent walk over the published rows: sort by time, count, recommend, judge."""
    _, result = shared
    rows = movielens.interactions
    assert rows.timestamp is not None
    table = pd.DataFrame(
        {"u": rows.user_idx, "i": rows.item_idx, "v": rows.value, "t": rows.timestamp}
    )
    cutoff = result.outcome.split.test.timestamp
    assert cutoff is not None
    train, test = table[table.t < cutoff.min()], table[table.t >= cutoff.min()]
    assert abs(len(test) / len(table) - 0.2) < 0.01
    counts = train[train.v >= 4].groupby("i").u.nunique()
    seen = train.groupby("u").i.agg(set).to_dict()
    relevant = test[test.v >= 4].groupby("u").i.agg(set)
    lists = pd.read_parquet(
        artifacts(shared[0], result.run_id or "") / "recommendations.parquet"
    ).groupby("user_id")
    precisions = []
    for user, items in relevant.items():
        best = lists.get_group(movielens.users.ids[user]).sort_values("rank").item_id.head(10)
        chosen = movielens.items.to_idx(best).tolist()
        allowed = counts.drop(list(seen.get(user, set())), errors="ignore")
        # The ten have the ten largest counts (which ones of equal counts is the seed's choice).
        assert sorted(counts[chosen]) == sorted(allowed.nlargest(10))
        assert not set(chosen) & seen.get(user, set())
        precisions.append(len(set(chosen) & items) / 10)
    assert result.metrics["precision_at_10"] == pytest.approx(np.mean(precisions), abs=1e-12)
    assert result.metrics["evaluated_users"] == len(relevant)


def test_a_run_is_recorded_as_the_contract_says(shared: tuple[Path, Result]) -> None:
    folder, result = shared
    assert rows(folder, "select name, status from runs") == [
        ("popularity-movielens-temporal", "FINISHED")
    ]
    params = dict(rows(folder, "select key, value from params"))
    assert params["algo"] == "popularity"
    assert params["dataset"] == "movielens"
    assert params["split"] == "temporal"
    assert params["seed"] == "42"
    assert params["relevance_threshold"] == "4.0"
    tags = dict(rows(folder, "select key, value from tags"))
    assert {
        "recexp.version",
        "recexp.config_hash",
        "recexp.dataset_fingerprint",
        "recexp.split_fingerprint",
        "recexp.rating_source",
    } <= set(tags)
    assert tags["recexp.rating_source"] == "calibrated"
    metrics = dict(rows(folder, "select key, value from metrics"))
    assert metrics == dict(result.metrics)
    assert len(metrics) <= 201
    for name in ("precision_at_10", "recall_at_10", "f1_at_10", "ndcg_at_10", "rmse", "mse"):
        assert metrics[f"{name}_ci_low"] <= metrics[name] <= metrics[f"{name}_ci_high"]
    for name in ("fit", "recommend", "evaluate", "total"):
        assert metrics[f"time/{name}_seconds"] >= 0
    assert metrics["memory/peak_mb"] > 10
    assert metrics["model/size_mb"] > 0
    warm, cold = metrics["warm_users/n_users"], metrics["cold_users/n_users"]
    assert warm + cold == metrics["evaluated_users"]
    assert rows(folder, "select count(*) from datasets") == [(2,)]
    assert not (folder / "outputs").exists()


def test_the_artifacts_are_complete_and_agree_with_the_metrics(
    shared: tuple[Path, Result],
) -> None:
    folder, result = shared
    where = artifacts(folder, result.run_id or "")
    assert {path.name for path in where.iterdir()} == {
        *("config.yaml", "data_profile.json", "metrics.csv", "model", "per_user.parquet", "plots"),
        *("provenance.json", "recommendations.parquet", "split_audit.json"),
    }
    per_user = pd.read_parquet(where / "per_user.parquet")
    assert per_user["ndcg_at_10"].mean() == pytest.approx(result.metrics["ndcg_at_10"], abs=1e-12)
    pd.testing.assert_frame_equal(per_user, result.per_user, check_dtype=False)
    lists = pd.read_parquet(where / "recommendations.parquet")
    assert list(lists.columns) == ["user_id", "item_id", "rank", "score"]
    assert lists["rank"].min() == 1
    assert lists.groupby("user_id").size().max() == 20
    with (where / "metrics.csv").open() as file:
        table = {(r["part"], r["segment"], r["metric"]): r for r in csv.DictReader(file)}
    assert float(table["test", "", "ndcg@10"]["value"]) == result.metrics["ndcg_at_10"]
    assert ("test", "tail_items", "recall@20") in table
    audit = json.loads((where / "split_audit.json").read_text())
    assert {
        *("n_train", "n_test", "n_train_users", "n_test_users", "n_train_items", "n_test_items"),
        *("cold_users", "cold_items", "cold_user_interaction_share"),
        *("cold_item_interaction_share", "duplicate_pairs"),
        *("users_with_future_training_share", "future_training_share"),
    } <= set(audit)
    assert audit["n_train"] + audit["n_test"] == 100_000
    assert audit["future_training_share"] == 0.0
    provenance = json.loads((where / "provenance.json").read_text())
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["dataset_facts"]["licence"]


def test_an_identical_run_gives_identical_metrics(store: Path) -> None:
    command = ("algo=svd", "algo.epochs=3", "split=random", *SMALL)
    first, second = recexp.run(*command), recexp.run(*command)
    assert first.run_id != second.run_id
    measured = [n for n in first.metrics if not n.startswith(("time/", "memory/"))]
    assert len(measured) > 50
    assert {n: first.metrics[n] for n in measured} == {n: second.metrics[n] for n in measured}


def test_another_seed_gives_another_split(store: Path) -> None:
    first = recexp.run(*SMALL, "tracking=none", "split=random")
    second = recexp.run(*SMALL, "tracking=none", "split=random", "seed=1")
    assert first.outcome.split.fingerprint != second.outcome.split.fingerprint


def test_a_model_that_was_changed_with_its_list_of_files_is_refused(store: Path) -> None:
    run_id = recexp.run(*SMALL).run_id
    assert run_id is not None
    manifest = artifacts(store, run_id) / "model" / "data" / "manifest.json"
    assert recexp.load(run_id)
    manifest.write_text(manifest.read_text().replace('"seed": 42', '"seed": 43'))
    with pytest.raises(StorageError, match="was changed since the run recorded it"):
        recexp.load(run_id)


def test_the_saved_model_recommends_as_the_run_did(store: Path) -> None:
    result = recexp.run("algo=svd", "algo.epochs=3", *SMALL)
    assert result.run_id is not None
    loaded = recexp.load(result.run_id)
    lists = pd.read_parquet(artifacts(store, result.run_id) / "recommendations.parquet")
    users = lists.user_id.unique().tolist()
    again = loaded.recommend(users, 20).rename(columns={"user": "user_id", "item": "item_id"})
    pd.testing.assert_frame_equal(
        again[["user_id", "item_id", "rank"]],
        lists[["user_id", "item_id", "rank"]],
        check_dtype=False,
    )
    np.testing.assert_array_equal(again.score.to_numpy(np.float32), lists.score.to_numpy())
    stranger = loaded.recommend(["nobody"], 5)
    assert set(stranger.source) == {"popularity"}
    assert len(stranger) == 5


def test_runs_are_read_back_as_a_table(store: Path) -> None:
    result = recexp.run(*SMALL, "experiment_name=mine")
    table = recexp.runs("mine")
    assert table.run_id.tolist() == [result.run_id]
    assert table["metrics.ndcg_at_10"].tolist() == [result.metrics["ndcg_at_10"]]
    with pytest.raises(StorageError, match="no experiment 'other'"):
        recexp.runs("other")


def test_without_a_tracker_the_files_stay(store: Path) -> None:
    result = recexp.run(*SMALL, "tracking=none")
    assert result.run_id is None
    assert result.folder is not None
    assert (result.folder / "per_user.parquet").exists()
    assert not (store / "mlflow.db").exists()


def test_any_run_name_will_do(store: Path) -> None:
    result = recexp.run(*SMALL, "run_name='my/run: 1'")
    assert rows(store, "select name from runs") == [("my/run: 1",)]
    kept = recexp.run(*SMALL, "run_name='../run'", "tracking=none").folder
    assert result.run_id is not None
    assert kept is not None
    assert kept.parent.name == "outputs"


def test_validation_is_measured_on_training_data_only(store: Path) -> None:
    plain = recexp.run(*SMALL, "tracking=none", "split=random")
    both = recexp.run(*SMALL, "tracking=none", "split=random", "validation=same")
    assert both.metrics["ndcg_at_10"] == plain.metrics["ndcg_at_10"]
    assert both.metrics["val/ndcg_at_10"] != plain.metrics["ndcg_at_10"]
    other = recexp.run(*SMALL, "tracking=none", "split=random", "split@validation=last_n")
    assert other.metrics["val/ndcg_at_10"] != both.metrics["val/ndcg_at_10"]


def test_cold_users_get_popularity_and_are_counted(store: Path) -> None:
    result = recexp.run(*SMALL, "tracking=none", "algo=svd", "algo.epochs=2", "split=cold_user")
    answered = {n: v for n, v in result.metrics.items() if n.startswith("answered/")}
    assert answered["answered/fallback"] == result.metrics["evaluated_users"] > 0
    assert answered["answered/model"] == 0
    popular = recexp.run(*SMALL, "tracking=none", "split=cold_user")
    assert result.metrics["ndcg_at_10"] == popular.metrics["ndcg_at_10"]


@pytest.mark.parametrize("users", ["warm", "cold"])
def test_only_warm_or_cold_users_are_measured(store: Path, users: str) -> None:
    result = recexp.run(*SMALL, "tracking=none", f"users={users}", "split=temporal")
    trained = result.outcome.split.train.interactions.user_counts() > 0
    evaluated = result.outcome.evaluation.per_user["user_idx"]
    assert len(evaluated) > 0
    assert (trained[evaluated] == (users == "warm")).all()


def test_sampled_candidates_stand_beside_the_full_ranking_and_never_replace_it(
    store: Path,
) -> None:
    plain = recexp.run(*SMALL, "tracking=none", "split=random")
    sampled = recexp.run(
        *SMALL, "tracking=none", "split=random", "candidates=sampled", "n_negatives=9"
    )
    assert sampled.metrics["ndcg_at_10"] == plain.metrics["ndcg_at_10"]
    assert sampled.metrics["sampled/ndcg_at_10"] > plain.metrics["ndcg_at_10"]
    assert "sampled/ndcg_corrected_at_10" in sampled.metrics
    assert not [name for name in plain.metrics if name.startswith("sampled/")]
    assert "to reproduce papers only" in str(sampled)


class Breaks(Popularity):
    """Fails after the run was opened."""

    def fit(self, train: Any) -> Any:
        raise ValueError("the model\nbroke")


class Interrupts(Popularity):
    def fit(self, train: Any) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kind", "error", "status", "reason"),
    [
        (Breaks, ValueError, "FAILED", "ValueError: the model"),
        (Interrupts, KeyboardInterrupt, "KILLED", "KeyboardInterrupt"),
    ],
)
def test_a_run_that_breaks_is_closed_with_the_reason(
    store: Path, kind: type, error: type[BaseException], status: str, reason: str
) -> None:
    with pytest.raises(error):
        recexp.run(*SMALL, f"algo._target_={__name__}.{kind.__name__}")
    assert rows(store, "select status from runs") == [(status,)]
    assert rows(store, "select value from tags where key='recexp.reason'") == [(reason,)]
    assert not list(store.glob("outputs/*"))


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (["cutoffs=[1000]"], RecexpError, r"1000"),
        (["algo.fatcors=1"], ConfigError, r"no config key 'algo\.fatcors'"),
        (["algo=svd", "algo.n_factors=0"], ConfigError, r"algo\.n_factors=0: SVD expects"),
        (["algo=svd", "algo.n_factors=x"], ConfigError, r"algo\.n_factors='x': expected a whole"),
        (["metrics=[ndgc@10]"], ConfigError, r"no metric 'ndgc'; did you mean 'ndcg'"),
        (["objective=ndgc@10"], ConfigError, r"did you mean 'ndcg'"),
        (["candidates=some"], ConfigError, r"candidates=some; accepted: all, sampled, train"),
        (["users=lukewarm"], ConfigError, r"users=lukewarm; .*warm"),
        (["leakage=maybe"], ConfigError, r"leakage=maybe; accepted: fail, report, warn"),
        (["seed=-1"], ConfigError, r"seed=-1: expected a whole number >= 0"),
        (["seed=abc"], ConfigError, r"seed=abc"),
        (["cutoffs=[]"], ConfigError, r"cutoffs=\[\]: expected list lengths"),
        (["cutoffs=[0]"], ConfigError, r"cutoffs"),
        (["+mistake=1"], ConfigError, r"no config key 'mistake'"),
        (["split=randm"], ConfigError, r"no option split=randm; did you mean 'random'"),
        (["split@validation=randm"], ConfigError, r"randm; did you mean 'random'"),
        (["split.test_fraction=1.5"], RecexpError, r"split\.test_fraction=1\.5"),
        (["dataset=csv"], ConfigError, r"dataset\.path is required: set dataset\.path="),
        (["dataset=csv", "dataset.path=none.csv"], DataError, r"none\.csv"),
        (["relevance_threshold=6"], DataError, r"relevant"),
        (["users=cold", "split=random"], DataError, r"users=cold leaves no test interaction"),
        (["tracking.uri=http://127.0.0.1:9"], StorageError, r"no MLflow server answers"),
        (["tracking.uri=sqlite:////no/such/folder/m.db"], StorageError, r"cannot be written"),
        (["output_dir=file.txt"], StorageError, r"output_dir=file\.txt cannot be written"),
        (["leakage=fail", "split=random"], DataError, r"users_with_future_training_share"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_no_run(
    store: Path, overrides: list[str], kind: type[RecexpError], message: str
) -> None:
    (store / "file.txt").write_text("in the way")
    with pytest.raises(kind, match=message) as caught:
        recexp.run(*SMALL[:1], *[one for one in overrides if one], "plots=false")
    assert "\n" not in str(caught.value)
    assert not (store / "mlflow.db").exists() or not rows(store, "select * from runs")


def test_results_survive_a_store_that_fails_at_the_end(store: Path) -> None:
    (store / "mlruns").write_text("in the way of the artifacts")
    with pytest.raises(StorageError, match=r"the results are kept in .*\)") as caught:
        recexp.run(*SMALL)
    assert "\n" not in str(caught.value)
    kept = list((store / "outputs").iterdir())
    assert len(kept) == 1
    assert (kept[0] / "per_user.parquet").exists()
