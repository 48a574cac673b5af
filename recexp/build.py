"""From a node of the configuration to the object or function that its `_target_` names.

The signature of the target is the schema: unknown names and wrong types are refused with the key
as the user wrote it, before anything runs.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

from recexp.errors import ConfigError, did_you_mean, placed


def bind(node: Any, key: str, given: Sequence[str] = ()) -> functools.partial[Any]:
    """Return the target of `node` with its options bound; the caller adds the `given` arguments.

    Args:
        node: a mapping with `_target_` (a dotted path) and keyword options.
        key: where the node stands (`algo`), for messages.
        given: parameters that the configuration may not set: they come at the call.

    Options that are themselves mappings with `_target_`, or hold such by name, are built first.
    Raises ConfigError, with the whole key, for a target that cannot be imported, an unknown or
    missing option, or a value of the wrong type.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(
            f"{key} has no _target_; choose an option: {_choosing(key)}=NAME (recexp list)"
        )
    target = _resolve(str(node["_target_"]), key)
    parameters = inspect.signature(target).parameters
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    accepted = [name for name in parameters if name not in given]
    options = {}
    for name, value in node.items():
        if name == "_target_":
            continue
        if name not in accepted:
            raise ConfigError(f"no config key '{key}.{name}'{_near(key, name, accepted)}")
        options[name] = _value(value, hints.get(name, Any), f"{key}.{name}")
    for name in accepted:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ConfigError(f"{key}.{name} is required: set {key}.{name}=...")
    return functools.partial(target, **options)


def plain(config: Any) -> Any:
    """Return an OmegaConf node as plain containers, interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ConfigError(f"{missing[0]} is required: set {missing[0]}=...")
    try:
        return OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error


def matches(value: Any, hint: Any) -> bool:
    """Return whether a plain value (of YAML) is one that a parameter with `hint` takes.

    >>> matches(3, float), matches("3", float), matches(None, int | None), matches(True, int)
    (True, False, True, False)
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(matches(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments and not (isinstance(value, bool) and True not in arguments)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float)
    if origin is None:
        return isinstance(value, hint) if inspect.isclass(hint) else True
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            matches(part, hint)
            for pair in value.items()
            for part, hint in zip(pair, arguments, strict=True)
        )
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        return False
    if origin is tuple and Ellipsis not in arguments:
        pairs = zip(value, arguments, strict=False)
        return len(value) == len(arguments) and all(matches(one, each) for one, each in pairs)
    return all(matches(one, arguments[0]) for one in value)


def describe(hint: Any) -> str:
    """Return how a person would name the values that `hint` takes."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(describe(one) for one in arguments)
    if hint is type(None):
        return "null"
    if origin is not None and arguments:
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            values = describe(arguments[1])
            return f"a mapping {{name: {'value' if values == 'Any' else values}}}"
        return f"a list [{describe(arguments[0])}, ...]"
    return {int: "a whole number", float: "a number", str: "text", bool: "true | false"}.get(
        hint, getattr(hint, "__name__", str(hint))
    )


def _value(value: Any, hint: Any, key: str) -> Any:
    """`value` as the parameter with `hint` takes it, the parts in it built."""
    if isinstance(value, Mapping) and "_target_" in value:
        part = bind(value, key)
        with placed(key):
            return part()
    origin = typing.get_origin(hint)
    if isinstance(value, Mapping) and inspect.isclass(origin) and issubclass(origin, Mapping):
        kind = typing.get_args(hint)[1]
        return {name: _value(one, kind, f"{key}.{name}") for name, one in value.items()}
    if getattr(hint, "_is_protocol", False):
        option = value if isinstance(value, str) else "NAME"
        raise ConfigError(f"{key}={value!r}: an option is chosen by {_choosing(key)}={option}")
    if not matches(value, hint):
        raise ConfigError(f"{key}={value!r}: expected {describe(hint)}")
    return float(value) if hint is float else value


def _choosing(key: str) -> str:
    """The left side of the override that chooses the option at `key`."""
    group = key.partition(".")[0]
    return key if key == group else f"{group}@{key}"


def _resolve(path: str, key: str) -> Any:
    module_name, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{key}._target_={path} cannot be imported: {error}") from error


def _near(key: str, name: str, accepted: Sequence[str]) -> str:
    suggestion = did_you_mean(name, accepted)
    return suggestion.replace("did you mean '", f"did you mean '{key}.")
