"""Hybrids from the command line to the record: how they are spelled, refused, run and loaded."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recexp
from recexp import artifact
from recexp.algorithms.base import Source
from recexp.algorithms.ease import EASE
from recexp.algorithms.hybrid.stacking import Stacking
from recexp.algorithms.hybrid.switching import Switching
from recexp.algorithms.hybrid.weighted import Weighted
from recexp.algorithms.implicit import ALS
from recexp.algorithms.lightfm import LightFM
from recexp.algorithms.neighbors import ItemKNN
from recexp.algorithms.tfidf import TfIdf
from recexp.config import compose
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, RecexpError
from recexp.evaluation.evaluator import evaluate
from recexp.evaluation.judge import evaluated_users
from recexp.evaluation.recommend import Recommendations, recommend
from recexp.plan import plan
from recexp.rng import derive
from recexp.splits.base import Split
from recexp.splits.cold import cold_item, cold_user
from recexp.splits.random import random as random_split
from recexp.sweep import run_sweep

SMALL = ("dataset=synthetic", "dataset.n_users=80", "dataset.n_items=60")
SMALL += ("dataset.n_interactions=1200", "plots=false", "threads=1")


def built(*overrides: str) -> Any:
    return plan(compose(overrides)).recommender()


def test_every_member_is_set_from_the_command_line() -> None:
    model = built("algo=hybrid", "algo.members.first.n_factors=32", "seed=7", "threads=1")
    assert isinstance(model, Weighted)
    assert (model.members["first"].n_factors, model.members["first"].seed) == (32, 7)
    assert model.members["first"].threads == 1
    assert model.weights == {"first": 1.0, "second": 1.0}
    assert built("algo=stacking", "positive_threshold=3").members["second"].positive_threshold == 3


def test_a_member_is_chosen_from_the_algorithms() -> None:
    model = built(
        *("algo=hybrid", "algo@algo.members.first=tfidf", "algo.members.first.min_df=3"),
        *("+algo@algo.members.third=popularity", "algo.weights.first=0.5"),
    )
    assert [type(member).__name__ for member in model.members.values()] == [
        *("TfIdf", "EASE", "Popularity"),
    ]
    assert model.members["first"].min_df == 3
    assert model.weights == {"first": 0.5, "second": 1.0, "third": 1.0}


def test_a_hybrid_of_hybrids_is_spelled_the_same_way() -> None:
    model = built(
        *("algo=cascade", "algo@algo.members.first=rank_fusion"),
        *("algo@algo.members.first.members.second=switching", "algo.n_candidates=50"),
        "algo.members.first.members.second.members.first.n_factors=8",
    )
    assert model.members["first"].members["second"].members["first"].n_factors == 8


def test_a_hybrid_of_ones_own_is_one_yaml(tmp_path: Path) -> None:
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "mine.yaml").write_text(
        "# mine\n"
        "defaults:\n"
        "  - /algo@members.taste: ease\n"
        "  - /algo@members.text: tfidf\n"
        "  - _self_\n"
        "_target_: recexp.algorithms.hybrid.weighted.Weighted\n"
        "weights: {taste: 1.0, text: 0.2}\n"
        "members:\n"
        "  taste: {regularization: 50.0}\n"
    )
    overrides = ["algo=mine", "algo.members.text.min_df=2"]
    model: Any = plan(compose(overrides, tmp_path), tmp_path).recommender()
    assert (model.members["taste"].regularization, model.members["text"].min_df) == (50.0, 2)
    assert model.weights == {"taste": 1.0, "text": 0.2}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("algo.members.first.n_factors=0", r"^algo\.members\.first\.n_factors=0: ALS expects"),
        ("algo.members.first.n_factor=3", r"did you mean 'algo\.members\.first\.n_factors'"),
        ("algo.members.first.n_factors=x", r"^algo\.members\.first\.n_factors='x': expected a wh"),
        ("+algo.members.first.zzz=1", r"^no config key 'algo\.members\.first\.zzz'; accepted: "),
        ("algo.members.first=svd", r"chosen by algo@algo\.members\.first=svd$"),
        ("algo@algo.members.first=svdd", r"no option algo=svdd; did you mean 'svd'"),
        ("algo@algo.members.fist=svd", r"did you mean 'algo@algo\.members\.first'"),
        ("algo@members.first=svd", r"did you mean 'algo@algo\.members\.first'"),
        ("+algo.members.third.n_factors=3", r"chosen by algo@algo\.members\.third=NAME$"),
        ("algo.members=3", r"^algo\.members=3: expected a mapping"),
        ("+algo.weights.third=1", r"^algo\.weights\.third: no member .* accepted: first, second"),
        ("algo.weights.first=x", r"^algo\.weights\.first='x': expected a number"),
        ("~algo@algo.members.second", r"^algo\.members has 1: Weighted expects two or more"),
        (
            "algo@algo.members.first=hybrid algo.members.first.members.first.epochs=0",
            r"^algo\.members\.first\.members\.first\.epochs=0: ALS expects",
        ),
    ],
)
def test_a_mistake_is_told_with_the_whole_key(overrides: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        built("algo=hybrid", *overrides.split())
    assert "\n" not in str(caught.value)


def test_members_of_what_has_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^no config key 'algo@algo\.members\.first'$"):
        compose(["algo=svd", "algo@algo.members.first=ease"])


def test_a_need_of_a_member_is_told_before_the_split(store: Path) -> None:
    with pytest.raises(RecexpError, match=r"SVD needs.*algo@algo\.members\.second=lightfm"):
        recexp.run(*SMALL, "algo=hybrid", "algo@algo.members.second=svd", "preprocess=binary")
    assert not (store / "mlflow.db").exists()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def query(folder: Path, text: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        return connection.execute(text).fetchall()


def test_a_run_records_its_members_and_its_model_loads(store: Path) -> None:
    result = recexp.run(
        *SMALL,
        *("algo=hybrid", "algo@algo.members.second=rank_fusion", "algo.members.first.epochs=3"),
        *("algo@algo.members.second.members.first=tfidf", "validation=null"),
    )
    params = dict(query(store, "select key, value from params"))
    assert params["algo"] == "hybrid"
    assert params["algo.members.first"] == "als"
    assert params["algo.members.first.epochs"] == "3"
    assert params["algo.members.second"] == "rank_fusion"
    assert params["algo.members.second.members.first"] == "tfidf"
    assert params["algo.members.second.members.first.ngram_max"] == "2"
    assert params["algo.weights.second"] == "1.0"
    assert not any("_target_" in key or value.startswith("ALS(") for key, value in params.items())
    folder = store / "mlruns" / "recexp" / str(result.run_id) / "artifacts" / "model"
    loaded = artifact.load(folder)
    users = np.arange(loaded.train.n_users, dtype=np.int32)
    fitted = result.outcome.recommender
    np.testing.assert_array_equal(loaded.recommender.score(users), fitted.score(users))
    assert len(loaded.recommend(list(loaded.train.users.ids)[:2], 3)) == 6


def test_validation_and_test_fit_their_own_members(store: Path) -> None:
    options = (*SMALL, "algo=hybrid", "algo.members.first.epochs=3", "split=random")
    alone = recexp.run(*options)
    beside = recexp.run(*options, "split@validation=random")
    assert alone.metrics["ndcg_at_10"] == beside.metrics["ndcg_at_10"]
    assert "val/ndcg_at_10" in beside.metrics


def test_members_are_swept(store: Path) -> None:
    summary = run_sweep(
        [
            *(*SMALL, "algo=switching", "split=random", "algo@algo.members.first=rp3beta,itemknn"),
            "algo.min_interactions=1",
        ]
    )
    assert not summary.failed
    assert len({job.metrics["ndcg_at_10"] for job in summary.jobs}) == 2
    swept = query(store, "select distinct value from params where key = 'algo.members.first'")
    assert {value for (value,) in swept} == {"rp3beta", "itemknn"}


def test_a_deep_hybrid_has_more_params_than_one_batch_of_the_store(store: Path) -> None:
    recexp.run(
        *(
            *SMALL,
            "algo=hybrid",
            "algo@algo.members.first=hybrid",
            "algo@algo.members.second=hybrid",
        ),
        *(
            f"algo@algo.members.{a}.members.{b}=lightfm"
            for a in ("first", "second")
            for b in ("first", "second")
        ),
        *(
            f"algo.members.{a}.members.{b}.epochs=1"
            for a in ("first", "second")
            for b in ("first", "second")
        ),
    )
    assert query(store, "select count(*) > 100 from params") == [(1,)]


def ndcg(model: Any, split: Split) -> tuple[float, Recommendations]:
    lists = recommend(model.fit(split.train), split, evaluated_users(split), 10)
    found = evaluate(lists.lists, split, metrics=["ndcg@10"], n_resamples=2)
    return found.metrics["ndcg_at_10"], lists


def test_switching_to_content_recommends_new_items_of_movielens(movielens: Dataset) -> None:
    split = cold_item(movielens, derive(42, "split"))
    ease, _ = ndcg(EASE(), split)
    text, _ = ndcg(Switching({"a": EASE(), "b": TfIdf()}, "item", 1), split)
    learned, _ = ndcg(Switching({"a": EASE(), "b": LightFM(epochs=5)}, "item", 1), split)
    assert ease < 0.001
    assert text > 0.05
    assert learned > 0.05


def test_switching_to_features_answers_new_users_of_movielens(movielens: Dataset) -> None:
    split = cold_user(movielens, derive(42, "split"))
    alone, popular = ndcg(ItemKNN(), split)
    model = Switching({"a": ItemKNN(), "b": LightFM(epochs=10)})
    switched, lists = ndcg(model, split)
    users = evaluated_users(split)
    assert popular.source_counts["fallback"] == len(users)
    assert lists.source_counts == {"model": 0, "features": len(users), "fold_in": 0, "fallback": 0}
    np.testing.assert_array_equal(model.source(users), np.full(len(users), Source.FEATURES))
    assert switched > 0.5 * alone


def test_fusion_and_stacking_are_no_worse_than_the_better_member(movielens: Dataset) -> None:
    split = random_split(movielens, derive(42, "split"))
    members = {"als": ALS(threads=1), "text": TfIdf()}
    als, _ = ndcg(ALS(threads=1), split)
    text, _ = ndcg(TfIdf(), split)
    equal, _ = ndcg(Weighted(members), split)
    stacked, _ = ndcg(Stacking(members), split)
    assert text < equal < als < stacked
