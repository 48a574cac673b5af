"""Construction by `_target_`: the signature is the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from recexp.algorithms.base import Recommender
from recexp.algorithms.ease import EASE
from recexp.build import bind, describe, matches
from recexp.errors import ConfigError, DataError, placed

EASE_PATH = "recexp.algorithms.ease.EASE"


@dataclass
class Model:
    n_factors: int = 10
    learning_rate: float = 0.1
    loss: Literal["warp", "bpr"] = "warp"
    cap: int | None = None


def split(
    dataset: str, rng: str, *, fraction: float, names: Sequence[str] = ()
) -> tuple[str, str, float, Sequence[str]]:
    return dataset, rng, fraction, names


def node(target: str, **options: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.{target}", **options}


def test_options_reach_the_target() -> None:
    assert bind(node("Model", n_factors=3, loss="bpr"), "algo")() == Model(3, 0.1, "bpr")


def test_a_whole_number_serves_where_a_number_is_expected() -> None:
    assert bind(node("Model", learning_rate=1), "algo")().learning_rate == 1.0


def test_given_arguments_come_at_the_call() -> None:
    bound = bind(node("split", fraction=0.5, names=["a"]), "split", given=("dataset", "rng"))
    assert bound("d", "r") == ("d", "r", 0.5, ["a"])


def test_nested_targets_are_built_first() -> None:
    inner = bind({"_target_": f"{__name__}.holder", "model": node("Model", n_factors=7)}, "algo")()
    assert inner == Model(7)


def holder(model: Any) -> Any:
    return model


def family(members: Mapping[str, Recommender], weights: Mapping[str, float] | None = None) -> Any:
    return members


def test_nested_targets_are_built_by_name() -> None:
    members = {"a": {"_target_": EASE_PATH, "regularization": 7}, "b": {"_target_": EASE_PATH}}
    built = bind(node("family", members=members), "algo")()
    assert (built["a"].regularization, built["b"].regularization) == (7.0, EASE().regularization)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"a": {"_target_": EASE_PATH, "regularization": -1}},
            r"^algo\.members\.a\.regularization=-1",
        ),
        ({"a": {"_target_": EASE_PATH, "alpha": 1}}, r"^no config key 'algo\.members\.a\.alpha'"),
        (
            {"a": {"_target_": EASE_PATH, "regularization": "x"}},
            r"^algo\.members\.a\.regularization='x'",
        ),
        (
            {"a": "ease"},
            r"^algo\.members\.a='ease': an option is chosen by algo@algo\.members\.a=ease",
        ),
        ({"a": {"alpha": 1}}, r"chosen by algo@algo\.members\.a=NAME"),
        ("ease", r"^algo\.members='ease': expected a mapping \{name: Recommender\}"),
    ],
)
def test_a_wrong_nested_node_is_told_with_its_key(members: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        bind(node("family", members=members), "algo")
    assert "\n" not in str(caught.value)


def test_what_nested_parts_say_of_themselves_names_their_place() -> None:
    with pytest.raises(DataError) as caught, placed("algo.members.a"), placed("algo.members.b"):
        raise DataError("conf/algo.yaml, algo.n=0: lower algo.n, or use algo=ease")
    assert str(caught.value) == (
        "conf/algo.yaml, algo.members.a.members.b.n=0: lower algo.members.a.members.b.n, "
        "or use algo@algo.members.a.members.b=ease"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            node("Model", fatcors=3),
            r"no config key 'algo\.fatcors'; did you mean 'algo\.n_factors'",
        ),
        (node("Model", zzz=3), r"no config key 'algo\.zzz'; accepted: cap, learning_rate, loss"),
        (
            node("Model", n_factor=3),
            r"no config key 'algo\.n_factor'; did you mean 'algo\.n_factors'",
        ),
        (node("Model", n_factors="abc"), r"algo\.n_factors='abc': expected a whole number"),
        (node("Model", n_factors=1.5), r"algo\.n_factors=1\.5: expected a whole number"),
        (node("Model", n_factors=True), r"algo\.n_factors=True: expected a whole number"),
        (node("Model", loss="wrap"), r"algo\.loss='wrap': expected warp \| bpr"),
        (node("Model", cap="x"), r"algo\.cap='x': expected a whole number \| null"),
        (node("split"), r"algo\.fraction is required: set algo\.fraction="),
        (node("split", fraction=1, dataset="x"), r"no config key 'algo\.dataset'"),
        (node("Missing"), r"algo\._target_=.* cannot be imported"),
        ({"_target_": "no_such_package.Model"}, r"cannot be imported: No module named"),
        ({"n_factors": 3}, r"algo has no _target_; choose an option"),
    ],
)
def test_a_wrong_node_is_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        bind(wrong, "algo", given=("dataset", "rng"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, True),
        (3, float, True),
        (3.0, int, False),
        (True, bool, True),
        (1, bool, False),
        ("a", Sequence[str], False),
        (["a"], Sequence[str], True),
        ([1], Sequence[str], False),
        ([1, 5], tuple[float, float], True),
        ([1, 5, 6], tuple[float, float], False),
        ([1, 2, 3], tuple[int, ...], True),
        (None, None, True),
        (None, int | None, True),
        ({"a": 1}, dict[str, int], True),
        ({"a": "x"}, dict[str, int], False),
        ([1], dict[str, int], False),
        (object(), Any, True),
    ],
)
def test_plain_values_match_annotations(value: Any, hint: Any, expected: bool) -> None:
    assert matches(value, hint) is expected


def test_annotations_are_described_in_words() -> None:
    assert describe(int | None) == "a whole number | null"
    assert describe(tuple[float, ...]) == "a list [a number, ...]"
    assert describe(dict[str, int]) == "a mapping {name: a whole number}"
    assert describe(dict[str, Any]) == "a mapping {name: value}"
