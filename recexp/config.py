"""From overrides to a composed configuration, by Hydra, and what to say when that fails."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from recexp.errors import ConfigError, did_you_mean

T = TypeVar("T")

GROUPS = ("dataset", "preprocess", "features", "split", "profiles", "algo", "tracking")
_CONFIG = "config"


@dataclass
class Frame:
    """The keys of a run and their types; `conf/config.yaml` holds values and comments."""

    dataset: Any = None
    preprocess: Any = None
    features: Any = None
    split: Any = None
    validation: Any = None
    profiles: Any = None
    algo: Any = None
    tracking: Any = None
    seed: int = 42
    cutoffs: list[int] = field(default_factory=list)
    metrics: list[str] | None = None
    relevance_threshold: float | None = None
    positive_threshold: float | None = None
    exclude_seen: bool = True
    candidates: str = "all"
    n_negatives: int = 100
    users: str = "all"
    rating_fallback: str = "means"
    leakage: str = "report"
    leakage_thresholds: dict[str, float] = field(default_factory=dict)
    objective: str = "ndcg@10"
    early_stopping: dict[str, int | None] = field(default_factory=dict)
    threads: int | None = None
    plots: bool = True
    experiment_name: str = "recexp"
    run_name: str | None = None
    output_dir: str = "outputs"
    parent_run_id: str | None = None


@dataclass(frozen=True)
class Composed:
    """A composed configuration and how it came about.

    `config` is an OmegaConf DictConfig without the `hydra` node; `choices` the chosen option of
    every group (`{"algo": "svd", ...}`); `overrides` what was asked for.
    """

    config: Any
    choices: Mapping[str, str]
    overrides: tuple[str, ...]


def compose(overrides: Sequence[str], config_dir: Path | None = None) -> Composed:
    """Return the configuration that `overrides` compose to.

    `config_dir` is a user's own tree of options, searched beside ours. Raises ConfigError with the
    nearest right name for an unknown key or option.
    """
    from hydra import compose as hydra_compose
    from omegaconf import open_dict

    with _explained(overrides, config_dir), _hydra(config_dir):
        whole = hydra_compose(
            _CONFIG,
            overrides=[*_search_path(config_dir), *overrides],
            return_hydra_config=True,
        )
        choices = _choices(whole.hydra)
        with open_dict(whole):
            del whole["hydra"]
    return Composed(whole, choices, tuple(overrides))


def recorded(
    config: Mapping[str, Any], choices: Mapping[str, str], overrides: Sequence[str]
) -> Composed:
    """Return a configuration as a run recorded it; keys that are newer have their defaults."""
    from omegaconf import OmegaConf

    whole = {**asdict(Frame()), **config}
    return Composed(OmegaConf.create(whole), choices, tuple(overrides))


def sweep(
    overrides: Sequence[str], task: Callable[[Composed], T], config_dir: Path | None = None
) -> list[tuple[tuple[str, ...], T]]:
    """Run `task` for every job of a sweep, through Hydra's sweeper and launcher plug-ins.

    Returns (overrides of the job, what the task returned), in the order of the jobs. The task must
    not raise: Hydra would drop the other jobs' results.
    """
    with _explained(overrides, config_dir), _hydra(config_dir) as hydra:
        batches = hydra.multirun(
            config_name=_CONFIG,
            task_function=_Job(task),
            overrides=[*_search_path(config_dir), *overrides],
            with_log_configuration=False,
        )
    return [(tuple(job.overrides), job.return_value) for batch in batches for job in batch]


@dataclass(frozen=True)
class _Job(Generic[T]):
    """A task as Hydra's launchers call it, in this process or another."""

    task: Callable[[Composed], T]

    def __call__(self, config: Any) -> T:
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        return self.task(Composed(config, _choices(hydra), tuple(hydra.overrides.task)))


def config_folder() -> Path:
    """Return the folder of the config tree: inside the installed package, or beside it."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def options(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """Return the options of a group with their one-line descriptions (the first comment)."""
    found = {}
    for root in filter(None, (config_folder(), config_dir)):
        for path in (root / group).glob("*.yaml"):
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            found[path.stem] = first.removeprefix("#").strip() if first.startswith("#") else ""
    return dict(sorted(found.items()))


def assignments(overrides: Sequence[str]) -> list[tuple[str, Any, bool]]:
    """Return what each override says: its key, its value as Hydra reads it, whether it deletes.

    Raises ConfigError for text that is no override.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with _explained(overrides, None):
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [
        (
            one.get_key_element().lstrip("+~"),
            None if one.is_delete() else one.value(),
            one.is_delete(),
        )
        for one in parsed
    ]


def sweep_values(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the overrides of every job of a sweep, the last key varying fastest."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with _explained(overrides, None):
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        if one.is_sweep_override()
        else [text]
        for text, one in zip(overrides, parsed, strict=True)
    ]
    return list(itertools.product(*values))


def load_option(group: str, name: str, config_dir: Path | None = None) -> dict[str, Any]:
    """Return the plain content of an option's file, a user's own tree before ours."""
    import yaml

    for root in filter(None, (config_dir, config_folder())):
        path = root / group / f"{name}.yaml"
        if path.is_file():
            try:
                return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            except yaml.YAMLError as error:
                raise ConfigError(f"{path} is no YAML: {error}".replace("\n", " ")) from error
    raise ConfigError(f"no option {group}={name}{did_you_mean(name, options(group, config_dir))}")


@contextlib.contextmanager
def _hydra(config_dir: Path | None) -> Iterator[Any]:
    """Hold Hydra ready to compose from our tree; yields the object that runs sweeps."""
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra

    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"--config-dir {config_dir} is not a folder; give one with algo/*.yaml")
    ConfigStore.instance().store(name="frame", node=Frame)
    with initialize_config_dir(str(config_folder()), job_name="recexp", version_base="1.3"):
        yield GlobalHydra.instance().hydra


def _search_path(config_dir: Path | None) -> list[str]:
    return [] if config_dir is None else [f"hydra.searchpath=['file://{config_dir.absolute()}']"]


def _choices(hydra: Any) -> dict[str, str]:
    """The chosen option of our groups, from Hydra's own node of a configuration."""
    chosen = hydra.runtime.choices.items()
    return {str(group): str(name) for group, name in chosen if not str(group).startswith("hydra/")}


@contextlib.contextmanager
def _explained(overrides: Sequence[str], config_dir: Path | None) -> Iterator[None]:
    """Turn what Hydra raises into one line that helps."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, overrides, config_dir)) from error


def _explain(error: Exception, overrides: Sequence[str], config_dir: Path | None) -> str:
    """One line for what Hydra refused, with the nearest right name."""
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"no config key '{match[1]}'{_near_key(match[1], overrides, config_dir)}"
    if match := re.search(r"Key '([^']+)' not in 'Frame'", text):
        return f"no config key '{match[1]}'{_near_key(match[1], overrides, config_dir)}"
    if match := re.search(r"Could not (?:find|load) '([^']+)/([^'/]+)'", text):
        group, option = match.groups()
        return f"no option {group}={option}{did_you_mean(option, options(group, config_dir))}"
    if error.__cause__ is not None:  # "Error merging override seed=abc" hides what was wrong
        text = f"{text}: {error.__cause__}"
    line = " ".join(text.split("full_key:")[0].split())
    return line or type(error).__name__


def _near_key(key: str, overrides: Sequence[str], config_dir: Path | None) -> str:
    """The suggestion for an unknown key, from the keys that the chosen options have."""
    named = {one: one.partition("=")[0] for one in overrides}
    chosen = [
        one for one in overrides if named[one] != key and named[one].partition("@")[0] in GROUPS
    ]
    try:
        composed = compose(chosen, config_dir)
    except ConfigError:
        return ""
    if "@" in key:
        group = key.partition("@")[0]
        return did_you_mean(key, [one for one in composed.choices if one.startswith(f"{group}@")])
    config = composed.config
    keys = [one for one in _keys(config) if not one.endswith("_target_")]
    parent, _, name = key.rpartition(".")
    siblings = [one for one in keys if one.rpartition(".")[0] == parent]
    near = difflib.get_close_matches(key, siblings, n=1, cutoff=0.6)
    near = near or difflib.get_close_matches(key, keys, n=1, cutoff=0.7)
    if not near:  # the right name in the wrong place: `n_factors` for `algo.n_factors`
        near = [one for one in keys if one.rpartition(".")[2] == name][:1]
    return did_you_mean(near[0], near) if near else did_you_mean(key, siblings)


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a nested mapping, inner nodes included."""
    for key in config:
        yield f"{prefix}{key}"
        node = config._get_node(key) if hasattr(config, "_get_node") else config[key]
        if isinstance(node, Mapping) or hasattr(node, "items"):
            yield from _keys(node, f"{prefix}{key}.")
