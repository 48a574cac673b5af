"""Search spaces: their grammar, and that every algorithm has one that its constructor takes."""

from __future__ import annotations

from typing import Any

import pytest

from recexp import build
from recexp.config import compose, options
from recexp.errors import ConfigError
from recexp.tuning.settings import read_settings, search_node
from recexp.tuning.space import Choices, Range, Space, parse_space

WITHOUT_HYPERPARAMETERS = {"random", "normal", "slope_one"}


def algo(name: str) -> dict[str, Any]:
    node: dict[str, Any] = build.plain(compose([f"algo={name}"]).config.algo)
    return node


def space(name: str, *changes: str) -> Space:
    node = search_node(name, read_settings(["trials=1", *changes])[2], None)
    return parse_space(node, algo(name), name)


@pytest.mark.parametrize("name", sorted(options("algo")))
def test_every_algorithm_has_a_space_that_holds_its_defaults(name: str) -> None:
    """Parsing builds the recommender at both ends of every dimension."""
    assert name in options("search")
    assert len(options("search")[name]) > 10
    if name in WITHOUT_HYPERPARAMETERS:
        with pytest.raises(ConfigError, match="nothing to tune"):
            space(name)
        return
    found = space(name)
    for key, value in found.defaults.items():
        dimension = found.dimensions[key]
        if isinstance(dimension, Range):
            assert isinstance(value, int | float)
            assert dimension.low <= value <= dimension.high


def test_no_space_is_left_over() -> None:
    assert set(options("search")) == set(options("algo"))


def test_the_command_line_changes_adds_and_removes() -> None:
    found = space(
        "svd",
        "search.n_factors.high=64",
        "+search.seed={type: int, low: 1, high: 5}",
        "~search.biased",
    )
    assert found.dimensions["n_factors"] == Range("int", 8, 64, log=True)
    assert found.dimensions["seed"] == Range("int", 1, 5)
    assert "biased" not in found.dimensions


def test_a_value_is_set_where_its_dotted_key_says() -> None:
    made: Any = space("hybrid").recommender({"weights.second": 0.25})
    assert made.weights == {"first": 1.0, "second": 0.25}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("search.n_factor.high=64", "search.n_factor is not searched; did you mean 'n_factors'?"),
        ("+search.n_factor={type: int, low: 1, high: 2}", "no 'n_factor'; did you mean"),
        ("search.n_factors.hihg=64", "no key 'search.n_factors.hihg'; did you mean 'high'?"),
        ("search.n_factors.high=4", "search.n_factors: low=8 and high=4: expected low < high"),
        ("search.n_factors.low=0", r"search.n_factors: low=0: expected a number > 0, as log"),
        ("search.learning_rate.type=int", "expected a whole number, as type is int"),
        ("search.biased={choices: [true]}", "expected at least 2 values"),
        ("search.n_factors={type: float, low: 1.5, high: 9}", "expected a whole number"),
        ("search.epochs={type: int, low: -3, high: 9}", "SVD expects"),
        ("search.biased={choices: [null, false]}", "the default True is not among the choices"),
        ("search.n_factors={type: int, low: 1}", "expected type, low and high, or choices"),
        ("~search.nothing", "search.nothing is not searched"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as e:
        space("svd", change)
    assert "\n" not in str(e.value)


def test_a_default_outside_its_range_is_allowed() -> None:
    """Trial 0 is the default whatever the range; SVD's is 100."""
    found = space("svd", "search.n_factors.high=64").dimensions["n_factors"]
    assert isinstance(found, Range)
    assert found.including(100) == Range("int", 8, 100, log=True)


def test_the_edge_is_told_on_the_scale_of_the_range() -> None:
    linear, log = Range("float", 0, 100), Range("float", 1, 10_000, log=True)
    assert [linear.edge(value) for value in (0, 1.9, 50, 98.5, 100)] == [
        *("low", "low", None, "high", "high")
    ]
    # 1.9 is 7 % up the four decades, 9000 is 99 % up.
    assert [log.edge(value) for value in (1, 1.9, 9000)] == ["low", None, "high"]


def test_numbers_to_choose_from_have_an_edge_and_names_have_none() -> None:
    days = Choices((None, 7, 30, 90))
    assert [days.edge(value) for value in (None, 7, 30, 90)] == [None, "low", None, "high"]
    assert Choices((1, 2)).edge(2) is None
    assert Choices(("warp", "bpr", "logistic")).edge("warp") is None
    assert Choices((True, False)).edge(True) is None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "one budget"),
        (["trials=3", "seconds=5"], "one budget"),
        (["trials=0"], "trials=0: expected a number > 0"),
        (["trials=abc"], "trials='abc': expected a whole number"),
        (["trials=3", "n_jobs=0"], "n_jobs=0"),
        (["seconds=-1"], "seconds=-1"),
    ],
)
def test_a_wrong_budget_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(overrides)
