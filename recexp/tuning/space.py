"""What is searched: the hyperparameters, each with the values it may take."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recexp import build
from recexp.algorithms.base import Recommender
from recexp.errors import ConfigError, did_you_mean

Value = int | float | str | bool | None
"""What a hyperparameter may be in a search space."""

_EDGE = 0.02
"""The share of a range, at either end, in which a value counts as lying at the edge."""


@dataclass(frozen=True)
class Choices:
    """One of some values. Three numbers or more among them have an order, and so an edge."""

    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        if len(set(map(repr, self.choices))) < 2:
            raise ConfigError(f"choices={list(self.choices)}: expected at least 2 values")

    def ends(self) -> tuple[Value, ...]:
        """Return the values from which the constructor's limits show: all of them."""
        return self.choices

    def edge(self, value: Value) -> str | None:
        """Return `low` or `high` when `value` is the least or the greatest number, else None."""
        numbers = [
            one
            for one in self.choices
            if isinstance(one, int | float) and not isinstance(one, bool)
        ]
        if len(numbers) < 3 or value not in numbers:
            return None
        return {min(numbers): "low", max(numbers): "high"}.get(value)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, evenly or (`log`) evenly in their logarithm."""

    type: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if self.type not in ("int", "float"):
            raise ConfigError(f"type={self.type}{did_you_mean(self.type, ('int', 'float'))}")
        for name in ("low", "high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{name}={value!r}: expected a number")
            if self.type == "int" and value != int(value):
                raise ConfigError(f"{name}={value}: expected a whole number, as type is int")
        if not self.low < self.high:
            raise ConfigError(f"low={self.low} and high={self.high}: expected low < high")
        if self.log and self.low <= 0:
            raise ConfigError(f"low={self.low}: expected a number > 0, as log is true")

    def ends(self) -> tuple[Value, ...]:
        """Return the least and the greatest value."""
        return self._typed(self.low), self._typed(self.high)

    def edge(self, value: Value) -> str | None:
        """Return `low` or `high` when `value` lies there, else None."""
        assert isinstance(value, int | float)
        place = (self._scaled(value) - self._scaled(self.low)) / (
            self._scaled(self.high) - self._scaled(self.low)
        )
        return "low" if place <= _EDGE else "high" if place >= 1 - _EDGE else None

    def including(self, value: Value) -> Range:
        """Return the range, widened where `value` lies outside it."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"the default {value} is no number: search it by choices")
        if self.log and value <= 0:
            raise ConfigError(f"the default {value} has no logarithm: search it by choices")
        return dataclasses.replace(
            self, low=min(self.low, float(value)), high=max(self.high, float(value))
        )

    def _typed(self, value: float) -> Value:
        return int(value) if self.type == "int" else float(value)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """The dimensions by the hyperparameter's key below `algo`, and the default configuration.

    `algo` is the node of the configuration whose values the trials replace.
    """

    algo: Mapping[str, Any]
    dimensions: Mapping[str, Dimension]

    @property
    def defaults(self) -> dict[str, Value]:
        """The values of trial 0."""
        return {name: get(self.algo, name) for name in self.dimensions}

    def recommender(self, values: Mapping[str, Value]) -> Recommender:
        """Return the recommender, not fitted, with these values.

        Raises ConfigError when its constructor refuses them.
        """
        node = copy.deepcopy(dict(self.algo))
        for name, value in values.items():
            _set(node, name, value)
        made: Recommender = build.bind(node, "algo")()
        return made

    def document(self) -> dict[str, Any]:
        """Return the dimensions as plain JSON values, in the grammar of `conf/search`."""
        return {
            name: {"choices": list(one.choices)}
            if isinstance(one, Choices)
            else dataclasses.asdict(one)
            for name, one in self.dimensions.items()
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the dimensions."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()


def parse_space(node: Mapping[str, Any], algo: Mapping[str, Any], name: str) -> Space:
    """Return the space that a node of the grammar describes, checked against the constructor.

    `{n_factors: {type: int, low: 8, high: 256, log: true}, loss: {choices: [warp, bpr]}}`: keys are
    hyperparameters of `algo` (dotted for parts of it). `name` is the algorithm's, for messages.
    Raises ConfigError for an unknown hyperparameter, values that it does not take, or no dimension.
    """
    if not node:
        raise ConfigError(
            f"nothing to tune: the search space of algo={name} is empty; add a hyperparameter "
            "(+search.KEY='{type: int, low: 1, high: 9}') or choose another algo"
        )
    known = list(_keys(algo))
    for key in node:
        if key not in known:
            raise ConfigError(f"search.{key}: algo={name} has no '{key}'{did_you_mean(key, known)}")
    space = Space(algo, {key: _dimension(key, one) for key, one in node.items()})
    for key, dimension in space.dimensions.items():
        _check(space, key, dimension)
    return space


def _dimension(key: str, node: Any) -> Dimension:
    accepted = [field.name for field in dataclasses.fields(Range)] + ["choices"]
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"search.{key}={node}: expected {{type: int, low: 8, high: 256, log: true}} or "
            "{choices: [a, b]}"
        )
    for name in node:
        if name not in accepted:
            raise ConfigError(f"no key 'search.{key}.{name}'{did_you_mean(name, accepted)}")
    try:
        if "choices" in node:
            if len(node) > 1 or not isinstance(node["choices"], list):
                raise ConfigError("expected a list of choices and nothing else")
            return Choices(tuple(node["choices"]))
        return Range(**node)
    except ConfigError as error:
        raise ConfigError(f"search.{key}: {error}") from error
    except TypeError as error:
        raise ConfigError(f"search.{key}: expected type, low and high, or choices") from error


def _check(space: Space, key: str, dimension: Dimension) -> None:
    """Raise ConfigError for ends that the constructor refuses, or a default that cannot be."""
    default = get(space.algo, key)
    try:
        if isinstance(dimension, Range):
            dimension.including(default)
        elif default not in dimension.choices:
            raise ConfigError(
                f"the default {default} is not among the choices, and it is trial 0: add it, or "
                f"set algo.{key}"
            )
        for value in dimension.ends():
            space.recommender({key: value})
    except ConfigError as error:
        raise ConfigError(f"search.{key}: {error}") from error


def get(node: Mapping[str, Any], key: str) -> Value:
    """Return the value at a dotted key."""
    value: Any = node
    for name in key.split("."):
        value = value[name]
    found: Value = value
    return found


def _set(node: dict[str, Any], key: str, value: Value) -> None:
    *parents, last = key.split(".")
    for name in parents:
        node = node[name]
    node[last] = value


def _keys(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of all values, without `_target_`."""
    found = []
    for name, value in node.items():
        if isinstance(value, Mapping):
            found += _keys(value, f"{prefix}{name}.")
        elif name != "_target_":
            found.append(f"{prefix}{name}")
    return found
