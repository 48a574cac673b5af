"""What a study is: a folder with a question and the runs that answer it."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recexp.errors import ConfigError, did_you_mean

Rows = list[list[str]]
"""A table: its header, then its rows, as text."""


@dataclass(frozen=True)
class Step:
    """One command of a study: `run` (a run or a sweep), `tune` or `replay`, with its overrides."""

    command: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A study as its folder describes it.

    Attributes:
        name: of the folder.
        folder: where it lies.
        question: what it asks.
        experiment: the MLflow experiment of its runs.
        metric: which its tables show.
        segments: segments of users shown beside the whole.
        steps: in the order they run.
        tables: the study's own analysis (`analysis.py`), from the finished runs to tables by title;
            None when the general table is enough.
    """

    name: str
    folder: Path
    question: str
    experiment: str
    metric: str
    segments: tuple[str, ...]
    steps: tuple[Step, ...]
    tables: Callable[[Any], Mapping[str, Rows]] | None


_COMMANDS = ("run", "tune", "replay")
_KEYS = ("question", "experiment", "metric", "segments", "steps", "short")


def read_study(folder: Path, *, short: bool = False) -> Study:
    """Return the study in a folder; with `short`, its short form (key `short` of `study.yaml`).

    Raises ConfigError for a folder that is none, or a `study.yaml` that does not say enough.
    """
    import yaml

    path = folder / "study.yaml"
    if not path.is_file():
        near = ""
        if folder.parent.is_dir():
            known = sorted(one.parent.name for one in folder.parent.glob("*/study.yaml"))
            near = did_you_mean(folder.name, known)
        raise ConfigError(f"{folder} is no study: it has no study.yaml{near}")
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}".replace("\n", " ")) from error
    if not isinstance(node, dict):
        raise ConfigError(f"{path}: expected keys such as question and steps")
    changes = node.pop("short", None)
    if short:
        if not isinstance(changes, dict):
            raise ConfigError(f"{path} has no short form: add the key short with its steps")
        node |= {"experiment": f"{node.get('experiment', folder.name)}_short"} | changes
    for key in node:
        if key not in _KEYS:
            raise ConfigError(f"{path}: no key '{key}'{did_you_mean(str(key), _KEYS)}")
    for key in ("question", "steps"):
        if not node.get(key):
            raise ConfigError(f"{path}: '{key}' is missing")
    return Study(
        name=folder.resolve().name,
        folder=folder,
        question=" ".join(str(node["question"]).split()),
        experiment=node.get("experiment", folder.resolve().name),
        metric=node.get("metric", "ndcg@10"),
        segments=tuple(node.get("segments", ())),
        steps=tuple(_step(one, path) for one in node["steps"]),
        tables=_analysis(folder / "analysis.py"),
    )


def _step(node: Any, path: Path) -> Step:
    if not isinstance(node, Mapping) or len(node) != 1 or not set(_COMMANDS) & set(node):
        raise ConfigError(
            f"{path}: step {node}: expected 'run: OVERRIDES' or 'tune: OVERRIDES' or "
            "'replay: OVERRIDES'"
        )
    (command, text), *_ = node.items()
    overrides = tuple(shlex.split(str(text)))
    for one in overrides:
        if one.partition("=")[0] in ("experiment_name", "resume"):
            raise ConfigError(f"{path}: {one}: the study sets that itself; leave it out")
    return Step(command, overrides)


def _analysis(path: Path) -> Callable[[Any], Mapping[str, Rows]] | None:
    """The function `tables` of a study's own file, which is run for that."""
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"analysis_of_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "tables", None)):
        raise ConfigError(f"{path} has no function tables(found)")
    tables: Callable[[Any], Mapping[str, Rows]] = module.tables
    return tables
