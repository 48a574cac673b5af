"""What a tuning is told beside the experiment: its budget, its workers, its search space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recexp import build
from recexp.config import assignments, load_option, options
from recexp.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Settings:
    """The keys of a tuning that are none of a run.

    Attributes:
        trials: how many trials end, the default configuration among them; or
        seconds: how many seconds of fitting and measuring they take together, after which no
            further one begins.
        n_jobs: worker processes.
        study: the name under which the trials are kept and found again.
        resume: whether a study of this name may go on; false refuses it.
        prune: whether trials that fall behind are stopped early, where training has epochs.
        search: the option of conf/search; by default that of the algorithm's name.
    """

    trials: int | None = None
    seconds: float | None = None
    n_jobs: int = 1
    study: str | None = None
    resume: bool = True
    prune: bool = True
    search: str | None = None

    def __post_init__(self) -> None:
        if (self.trials is None) == (self.seconds is None):
            raise ConfigError("tune needs one budget: trials=N or seconds=S")
        for name in ("trials", "seconds", "n_jobs"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name}={value}: expected a number > 0")


KEYS = tuple(field.name for field in fields(Settings))


def read_settings(
    overrides: Sequence[str],
) -> tuple[Settings, list[str], list[tuple[str, Any, bool]]]:
    """Return the settings, the overrides that are the experiment's, and the changes to the space.

    A change is (key below `search`, value, whether it is taken out). Raises ConfigError for values
    of the wrong type and for keys that are nearly ours.
    """
    hints = {"trials": int, "seconds": float, "n_jobs": int, "resume": bool, "prune": bool}
    settings: dict[str, Any] = {}
    rest: list[str] = []
    changes: list[tuple[str, Any, bool]] = []
    for text, (key, value, removed) in zip(overrides, assignments(overrides), strict=True):
        if key.startswith("search."):
            changes.append((key.removeprefix("search."), value, removed))
        elif key in KEYS:
            hint = hints.get(key, str)
            if not build.matches(value, hint):
                raise ConfigError(f"{key}={value!r}: expected {build.describe(hint)}")
            settings[key] = value
        else:
            rest.append(text)
    return Settings(**settings), rest, changes


def search_node(
    name: str, changes: Sequence[tuple[str, Any, bool]], config_dir: Path | None
) -> dict[str, Any]:
    """Return the node of a search space: the option `name` of conf/search with changes made to it.

    Raises ConfigError for an option that is not there, or a change to what is not.
    """
    known = options("search", config_dir)
    if name not in known and not changes:
        raise ConfigError(
            f"no search space '{name}'{did_you_mean(name, known)}; write conf/search/{name}.yaml "
            "(see --config-dir), or set +search.KEY='{...}'"
        )
    node = load_option("search", name, config_dir) if name in known else {}
    for key, value, removed in changes:
        *parents, last = key.split(".")
        # Keys of parts (weights.first) have dots of their own: the longest that is there counts.
        if key in node or not parents:
            if removed:
                if key not in node:
                    raise ConfigError(f"search.{key} is not searched{did_you_mean(key, node)}")
                del node[key]
            elif key in node or isinstance(value, dict):
                node[key] = value
            else:
                raise ConfigError(f"search.{key} is not searched{did_you_mean(key, node)}")
            continue
        parent = ".".join(parents)
        if isinstance(value, dict):
            node[key] = value
        elif parent in node:
            node[parent] = {**node[parent], last: value}
        else:
            raise ConfigError(f"search.{parent} is not searched{did_you_mean(parent, node)}")
    return node
