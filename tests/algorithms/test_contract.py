"""Every algorithm that ships keeps the contract."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from recexp.algorithms.base import hyperparameters
from recexp.data.checkerboard import checkerboard
from recexp.errors import DataError
from recexp.testing import check_recommender

CONF = Path(__file__).parents[2] / "conf" / "algo"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
FRAME = {"${seed}": 42, "${positive_threshold}": None, "${threads}": None}

NOT_PERSONAL = {"popularity", "random", "normal", "baseline", "slope_one"}
EXACT = {"popularity", "random"}
"""What `partial_fit` learns is what `fit` learns of everything."""
SGD = {"method": "sgd"}
BIASED = {"biased": True}
PEARSON_BASELINE = {"similarity": "pearson_baseline"}
KOS = {"loss": "warp-kos"}
# What else has to be set for a hyperparameter to matter, and values that cannot be guessed.
CONTEXTS: dict[str, dict[str, Any]] = {
    "window_days": {"window_days": 30.0},
    "half_life_days": {"half_life_days": 30.0},
    "positive_threshold": {"positive_threshold": 5.0},
    "n_neighbors": {"n_neighbors": 5},
    "min_neighbors": {"min_neighbors": 41},
    "min_support": {"min_support": 20},
    "shrinkage": PEARSON_BASELINE,
}
BY_OPTION: dict[str, dict[str, Any]] = {
    "nmf": {"learning_rate": BIASED, "bias_regularization": BIASED},
    "baseline": {"learning_rate": SGD, "regularization": SGD},
    "co_clustering": {"epochs": {"epochs": 1}},
    "lightfm": {"kos_k": KOS, "kos_n": KOS},
    "itemknn": {"shrinkage": {}},
    "userknn": {"shrinkage": {}},
    "slim": {"max_iterations": {"max_iterations": 1}},
    "tfidf": {"min_df": {"min_df": 5}, "ngram_min": {"ngram_min": 2}},
    "hybrid": {"weights": {"weights": {"first": 3.0}}},
    "switching": {"min_interactions": {"min_interactions": 41}, "by": {"min_interactions": 41}},
    "cascade": {"n_candidates": {"n_candidates": 5}},
    "stacking": {"n_candidates": {"n_candidates": 10}},
}


def make(option: str) -> Any:
    """The recommender of an option, with the constructor's arguments as in the YAML."""
    node = yaml.safe_load((CONF / f"{option}.yaml").read_text(encoding="utf-8"))
    module, _, name = node.pop("_target_").rpartition(".")
    members = members_of(node.pop("defaults", ["_self_"]))
    values = {key: FRAME.get(str(value), value) for key, value in node.items()} | members
    return getattr(importlib.import_module(module), name)(**values)


def members_of(defaults: list[Any]) -> dict[str, Any]:
    """The members of a hybrid, from its defaults list: `/algo@members.first: als`."""
    *chosen, _ = defaults
    named = {key.rpartition(".")[2]: make(option) for one in chosen for key, option in one.items()}
    for member in named.values():
        if hasattr(member, "threads"):
            member.threads = 1  # many small fits: on a busy machine threads wait for each other
    return {"members": named} if named else {}


@pytest.mark.parametrize("option", OPTIONS)
def test_it_keeps_the_contract(option: str) -> None:
    others = {"members": {"first": make("ease"), "second": make("rp3beta")}}
    check_recommender(
        functools.partial(make, option),
        personal=option not in NOT_PERSONAL,
        exact=option in EXACT,
        contexts={"members": others} | CONTEXTS | BY_OPTION.get(option, {}),
    )


@pytest.mark.parametrize("option", ["als", "lightfm", "popularity", "random"])
def test_what_comes_later_cannot_be_smaller(option: str) -> None:
    whole = checkerboard().dataset
    model = make(option).fit(whole)
    smaller = whole.compact(whole.interactions.item_idx < 20)
    with pytest.raises(
        DataError, match=r"has learned \d+ and 61: number the new ones on from those"
    ):
        model.partial_fit(smaller)


@pytest.mark.parametrize("option", OPTIONS)
def test_its_yaml_lists_every_hyperparameter_with_its_default(option: str) -> None:
    built = make(option)
    node = yaml.safe_load((CONF / f"{option}.yaml").read_text(encoding="utf-8"))
    members = {"members": built.members} if node.pop("defaults", None) else {}
    own = [name for name in hyperparameters(built) if name not in members]
    assert list(node) == ["_target_", *own]
    assert hyperparameters(built) == hyperparameters(type(built)(**members))
