"""The config tree: every option composes, builds, and says what the constructor says."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from recexp import build
from recexp.config import GROUPS, Composed, compose, config_folder, options
from recexp.errors import ConfigError
from recexp.plan import plan

EVERY = [(group, option) for group in GROUPS for option in options(group)]
# What an option cannot do without, because only its user knows.
REQUIRED = {
    ("dataset", "csv"): ["dataset.path=ratings.csv"],
    ("dataset", "parquet"): ["dataset.path=ratings.parquet"],
    ("dataset", "recbole"): ["dataset.path=ratings.inter"],
    ("dataset", "lightgcn"): ["dataset.path=folder"],
    ("dataset", "sql"): ["dataset.url=sqlite:///shop.db", "dataset.table=sales"],
    ("split", "predefined"): ["split.path=somewhere"],
}

FILLED = {("profiles", "none"), ("dataset", "goodbooks")}
STEPS = ("preprocess", "features")
"""Groups whose options are several steps, or none."""


def composed(group: str, option: str) -> Composed:
    return compose([f"{group}={option}", *REQUIRED.get((group, option), [])])


def test_the_contract_has_its_options() -> None:
    assert {"movielens", "csv", "synthetic"} <= set(options("dataset"))
    assert {"popularity", "random", "svd", "knn_baseline", "lightfm", "tfidf"} <= set(
        options("algo")
    )
    assert {"temporal", "random", "last_n", "cold_user", "cold_item"} <= set(options("split"))


@pytest.mark.parametrize(("group", "option"), EVERY)
def test_every_option_composes_and_builds(group: str, option: str) -> None:
    plan(composed(group, option))


@pytest.mark.parametrize(("group", "option"), EVERY)
def test_every_option_describes_itself(group: str, option: str) -> None:
    text = (config_folder() / group / f"{option}.yaml").read_text(encoding="utf-8")
    assert len(options(group)[option]) > 10
    assert len(text.splitlines()) <= 30
    for line in text.splitlines():
        says_itself = line.startswith(("#", "_target_", " ", "{}")) or "${" in line
        assert says_itself or "#" in line or line.endswith(":"), f"{option}: {line}"


@pytest.mark.parametrize(
    ("group", "option"),
    # A public dataset's file is its description: all of it differs from the defaults.
    [one for one in EVERY if one[0] not in STEPS and one not in FILLED],
)
def test_values_are_the_constructors_own_defaults(group: str, option: str) -> None:
    """What is written twice must not drift apart."""
    node: dict[str, Any] = build.plain(composed(group, option).config[group])
    raw = yaml.safe_load((config_folder() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    target = build.bind(
        {k: v for k, v in node.items() if k in ("_target_", "path", "url", "members")},
        group,
        given=("dataset", "rng", "split"),
    ).func
    for name, parameter in inspect.signature(target).parameters.items():
        if name not in raw or parameter.default is inspect.Parameter.empty:
            continue
        if isinstance(raw[name], str) and (raw[name].startswith("${") or raw[name] == "???"):
            continue
        default = parameter.default
        value = tuple(raw[name]) if isinstance(raw[name], list) else raw[name]
        if "defaults" in raw and isinstance(value, dict):
            continue  # by member: tests/algorithms/test_contract.py compares what is built
        if isinstance(value, dict) and default is None:
            assert not any(value.values())
            continue
        assert value == default, f"{group}={option}: {name}"


def test_every_hyperparameter_can_be_set() -> None:
    for option in options("algo"):
        node = build.plain(compose([f"algo={option}"]).config.algo)
        target = build.bind(node, "algo").func
        assert set(inspect.signature(target).parameters) == set(node) - {"_target_"}, option


def test_the_users_own_tree_is_searched_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "mine.yaml").write_text(
        "# mine\n_target_: recexp.algorithms.popularity.Popularity\n"
    )
    found = compose(["algo=mine"], tmp_path)
    assert found.choices["algo"] == "mine"
    assert "mine" in options("algo", tmp_path)
    assert plan(found, tmp_path).names["algo"] == "mine"
    with pytest.raises(ConfigError, match="is not a folder"):
        compose([], tmp_path / "missing")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("aglo=svd", r"no config key 'aglo'; did you mean 'algo'"),
        ("algo=svdd", r"no option algo=svdd; did you mean 'svd'"),
        ("algo=zzzz", r"no option algo=zzzz; accepted: .*popularity"),
        ("algo.n_factor=3", r"no config key 'algo\.n_factor'; did you mean 'algo\.n_factors'"),
        ("n_factors=3", r"no config key 'n_factors'; did you mean 'algo\.n_factors'"),
        ("sed=1", r"no config key 'sed'; did you mean 'seed'"),
        ("seed=abc", r"seed=abc.*could not be converted to Integer"),
        ("cutoffs=3", r"cutoffs=3"),
        ("seed", r"seed"),
        ("split.frction=1", r"no config key 'split\.frction'"),
    ],
)
def test_a_wrong_override_names_the_nearest_right_one(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        compose(["algo=svd", override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split.test_fraction=2"], r"split\.test_fraction=2"),
        (["split=last_n", "split.n=0"], r"split\.n=0"),
        (["split=k_fold", "split.fold=9"], r"split\.fold=9"),
        (["split=cold_user", "split.choose=best"], r"split\.choose"),
    ],
)
def test_options_of_a_split_are_refused_before_data_is_read(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(compose(overrides))


def test_interpolations_reach_the_parts() -> None:
    recommender = plan(compose(["algo=svd", "seed=7"])).recommender()
    assert recommender.seed == 7  # type: ignore[attr-defined]
    assert plan(compose([])).seed == 42
