"""Published figures to be measured again: what they are, where they stand, how they were made.

A figure is data: tables of them lie in `conf/reference/*.yaml`, and in the folder `reference` of a
user's own tree of options. A table says what its targets share and lists them; a target says the
rest, down to the overrides of `recexp run` that measure it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recexp import build
from recexp.config import config_folder
from recexp.data.files import file_hash
from recexp.errors import ConfigError, did_you_mean
from recexp.evaluation.metrics import parse_metric

Tier: TypeAlias = Literal["quick", "slow", "heavy"]
TIERS: tuple[Tier, ...] = ("quick", "slow", "heavy")
"""Seconds each; minutes; or more time or memory than a small machine has."""

_HERE = "{data}"
"""Stands in the overrides of a target for the folder of its files."""


@dataclass(frozen=True)
class Figure:
    """A published number and how far from it a right answer may lie."""

    value: float
    tolerance: float


@dataclass(frozen=True)
class Files:
    """Published files that a target needs and recexp does not fetch.

    Attributes:
        folder: name of their folder below the one that the user gives.
        sha256: of each file, by name: only the published split gives the published figure.
        get: how to get them, for people.
    """

    folder: str
    sha256: Mapping[str, str]
    get: str


@dataclass(frozen=True)
class Target:
    """A published result and the experiment that should give it.

    Attributes:
        name: `TABLE/TARGET`.
        tier: what it costs.
        source, url: where the figures stand.
        run: overrides of the run; `{data}` in them is the folder of `files`.
        published: the figures by metric (`rmse`, `ndcg@20`).
        repeat: an override that repeats the run, `split.fold=0,1,2`: the mean counts. None: once.
        files: what has to be there first; None: nothing that a run does not fetch itself.
        notes: why the figures agree or do not, and what was tried.
    """

    name: str
    tier: Tier
    source: str
    url: str
    run: Sequence[str]
    published: Mapping[str, Figure]
    repeat: str | None = None
    files: Files | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        for metric, figure in self.published.items():
            parse_metric(metric)
            if figure.tolerance <= 0:
                raise ConfigError(f"{metric}.tolerance={figure.tolerance}: expected a number > 0")

    def missing(self, data: Path | None) -> str | None:
        """Return why the target cannot be measured with the files in `data`; None if it can."""
        if self.files is None:
            return None
        if data is None:
            return f"needs --data DIR with a folder {self.files.folder}: {self.files.get}"
        folder = data / self.files.folder
        for name, expected in self.files.sha256.items():
            if not (folder / name).is_file():
                return f"{folder / name} is missing: {self.files.get}"
            if file_hash(folder / name) != expected:
                return f"{folder / name} is not the published file (its SHA-256 differs)"
        return None

    def overrides(self, data: Path | None) -> list[str]:
        """Return the overrides of one run, for Hydra, with the folder of the files in place."""
        if self.files is None or data is None:
            return list(self.run)
        folder = str((data / self.files.folder).absolute())
        quoted = folder.replace("\\", "\\\\").replace("'", "\\'")
        return [one.replace(_HERE, quoted) for one in self.run]


def targets(config_dir: Path | None = None) -> dict[str, Target]:
    """Return all targets by name, those of `config_dir` beside ours.

    Raises ConfigError, in one line, for a table that is not well-formed.
    """
    import yaml

    found: dict[str, Target] = {}
    for root in filter(None, (config_folder(), config_dir)):
        for path in sorted((root / "reference").glob("*.yaml")):
            try:
                found |= _table(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                line = " ".join(str(error).split())
                raise ConfigError(f"{path} is not YAML: {line}") from error
    return found


def choose(
    known: Mapping[str, Target], names: Sequence[str], tiers: Sequence[Tier]
) -> list[Target]:
    """Return the targets that `names` and `tiers` select, each once, in the order of the tables.

    A name is a target, a table (all its targets) or `all`. Without tiers, names select of all
    tiers; with neither, the quick ones are selected. Raises ConfigError for an unknown name.
    """
    tables = {name.partition("/")[0] for name in known}
    for name in names:
        if name not in (accepted := {*known, *tables, "all"}):
            raise ConfigError(f"no target '{name}'{did_you_mean(name, accepted)}")
    tiers = tiers or (TIERS if names else ("quick",))
    return [
        target
        for name, target in known.items()
        if target.tier in tiers
        and (not names or {"all", name, name.partition("/")[0]} & set(names))
    ]


def _table(table: str, content: Any) -> dict[str, Target]:
    if not isinstance(content, Mapping) or not isinstance(content.get("targets"), Mapping):
        raise ConfigError("expected a mapping with `targets`, a mapping from names to targets")
    shared = {key: value for key, value in content.items() if key != "targets"}
    return {
        f"{table}/{name}": _target(f"{table}/{name}", shared, own)
        for name, own in content["targets"].items()
    }


def _target(name: str, shared: Mapping[str, Any], own: Any) -> Target:
    """The target of what its table shares and its own part; overrides are added up."""
    if not isinstance(own, Mapping):
        raise ConfigError(f"{name}: expected a mapping (tier, run, published, ...)")
    node = {**shared, **own, "run": [*shared.get("run", ()), *own.get("run", ())]}
    published = node.get("published")
    if isinstance(published, Mapping):
        node["published"] = {
            metric: _bound(Figure, value, f"{name}.published.{metric}")
            for metric, value in published.items()
        }
    if node.get("files") is not None:
        node["files"] = _bound(Files, node["files"], f"{name}.files")
    target: Target = _bound(Target, {**node, "name": name}, name)
    return target


def _bound(kind: type, node: Any, key: str) -> Any:
    """An object of `kind` from a mapping; names and types are checked as those of any option."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}={node!r}: expected a mapping")
    return build.bind({**node, "_target_": f"{__name__}.{kind.__name__}"}, key)()
