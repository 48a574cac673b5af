"""What of a run is written down, and how it ends whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import recexp
from recexp import artifact, build
from recexp.algorithms.base import Recommender, deterministic, hyperparameters
from recexp.data.dataset import Dataset
from recexp.errors import StorageError, redacted
from recexp.lifecycle import Terminated
from recexp.plan import Plan
from recexp.provenance import threadpools
from recexp.reporting import plots
from recexp.reporting.files import write_run
from recexp.reporting.outcome import Outcome
from recexp.splits.base import Split
from recexp.tracking.base import DatasetInput, Record, TrackedRun
from recexp.tracking.store import MODEL_DIGEST

_NOT_IDENTITY = (
    *("run_name", "experiment_name", "output_dir", "parent_run_id", "tracking", "plots"),
    "threads",
)
"""Keys that decide how a run is made or kept, not what it finds."""


@contextlib.contextmanager
def ending(tracked: TrackedRun) -> Iterator[None]:
    """Close the run as FAILED or KILLED, with the reason in a tag, if it does not finish."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | Terminated)
        reason = f"{type(error).__name__}: {error}".strip(": ").splitlines()[0]
        with contextlib.suppress(StorageError):  # the store itself may be what failed
            tracked.log(Record(tags={"recexp.reason": reason[:500]}))
            tracked.end("KILLED" if stopped else "FAILED")
        raise


@contextlib.contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Say where the results are when they cannot be stored."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error} (the results are kept in {folder})") from error


def finish(tracked: TrackedRun, record: Record, folder: Path) -> str | None:
    """Store the results that lie in `folder` with `record`, and close the run as FINISHED."""
    with keeping(folder):
        tracked.log(replace(record, folder=folder))
        return tracked.end("FINISHED")


def clear(folder: Path, output: Path) -> None:
    """Remove the results that are stored, and their output folder if nothing else lies there."""
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        output.rmdir()


def output_folder(folder: Path) -> Path:
    """The output folder, made now: what cannot be written should show before the work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"output_dir={folder} cannot be written ({reason}); set another output_dir"
        ) from error
    return folder


def opening(
    plan: Plan, origin: Mapping[str, Any], dataset: Dataset, split: Split, recommender: Recommender
) -> Record:
    """What is known of a run before it fits."""
    config = redacted(build.plain(plan.composed.config))
    params = {**plan.names, "seed": plan.seed} | _flat("algo", hyperparameters(recommender))
    params |= {
        key.removeprefix("algo@"): option
        for key, option in plan.composed.choices.items()
        if key.startswith("algo@")
    }
    for group in ("dataset", "split", "preprocess", "features", "profiles"):
        params |= _flat(group, config[group] or {})
    for key in ("cutoffs", "exclude_seen", "candidates", "users", "rating_fallback", "objective"):
        params[key] = config[key]
    params["relevance_threshold"] = dataset.relevance_threshold
    params["positive_threshold"] = (
        config["positive_threshold"]
        if config["positive_threshold"] is not None
        else dataset.relevance_threshold
    )
    git = origin["git"] or {}
    tags = {
        "recexp.version": recexp.__version__,
        "recexp.config_hash": config_hash(config),
        "recexp.dataset_fingerprint": dataset.fingerprint,
        "recexp.split_fingerprint": split.fingerprint,
        "recexp.deterministic": str(deterministic(recommender)).lower(),
        "mlflow.user": os.environ.get("USER") or os.environ.get("USERNAME") or "unknown",
        "mlflow.source.name": "recexp run",
        "mlflow.source.type": "LOCAL",
    }
    if git:
        tags["mlflow.source.git.commit"] = git["commit"]
        tags["mlflow.source.git.branch"] = git["branch"] or ""
        tags["recexp.git_dirty"] = str(git["dirty"]).lower()
    source = str(dataset.facts.get("source", dataset.name))
    inputs = tuple(
        DatasetInput(dataset.name, digest[:8], source, json.dumps({"rows": rows}), context)
        for digest, rows, context in (
            (dataset.fingerprint, len(split.train.interactions), "training"),
            (split.fingerprint, len(split.test), "testing"),
        )
    )
    return Record(params={k: _text(v) for k, v in params.items()}, tags=tags, datasets=inputs)


def closing_tags(outcome: Outcome, folder: Path) -> dict[str, str]:
    """What is known of a run at its end, whose files are in `folder`."""
    tags: dict[str, str] = {}
    if outcome.ratings is not None:
        tags["recexp.rating_source"] = outcome.ratings.rating_source
    if model := artifact.digest(folder / "model"):
        tags[MODEL_DIGEST] = model
    return tags


def write_files(output: Path, plan: Plan, outcome: Outcome, origin: Mapping[str, Any]) -> Path:
    """Write the run's files into a new folder of `output`, and return it."""

    def write(folder: Path) -> None:
        write_run(folder, outcome, _provenance_of(plan, outcome, origin))
        if plan.frame.plots:
            plots.write(folder / "plots", outcome)

    return new_folder(output, plan.run_name, write)


def new_folder(output: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Return a new folder that `write` fills; it appears whole or not at all."""
    plain = re.sub(r"[^\w.-]+", "_", name)
    name = f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.time_ns() % 10**6}"
    folder, partial = output / name, output / f".{name}"
    try:
        partial.mkdir(parents=True)
        write(partial)
        return partial.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _provenance_of(plan: Plan, outcome: Outcome, origin: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        **origin,
        "overrides": list(plan.composed.overrides),
        "choices": dict(plan.composed.choices),
        "seed": outcome.seed,
        "threads": plan.threads,
        "threadpools": threadpools(),
        "config_hash": config_hash(outcome.config),
        "dataset_fingerprint": outcome.dataset.fingerprint,
        "split_fingerprint": outcome.split.fingerprint,
        "dataset_facts": dict(outcome.dataset.facts),
        "preprocess": [str(step) for step in outcome.steps],
        "split_facts": dict(outcome.split.facts),
    }
    return redacted(found)


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of what decides the numbers of a run."""
    identity = {key: value for key, value in config.items() if key not in _NOT_IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested options under dotted keys, without `_target_`; members' hyperparameters likewise."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Recommender):
            flat |= _flat(f"{prefix}.{key}", hyperparameters(value))
        elif isinstance(value, Mapping):
            flat |= _flat(f"{prefix}.{key}", value)
        elif key != "_target_":
            flat[f"{prefix}.{key}"] = value
    return flat


def _text(value: Any) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
