"""A recorded run made again from its record, and every metric compared."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from recexp.arrays import FloatArray
from recexp.config import recorded
from recexp.errors import ConfigError, DataError, StorageError
from recexp.evaluation.metrics import metric_name
from recexp.evaluation.saved import read_per_user
from recexp.evaluation.significance import Columns, paired_differences
from recexp.experiment import Result, run_plan
from recexp.plan import plan
from recexp.provenance import environment_differences, provenance, threadpools
from recexp.reporting.files import estimates, metric_values, read_estimates
from recexp.reporting.outcome import Outcome
from recexp.tracking.base import Record, TrackedRun, Tracker
from recexp.tracking.records import RunKey, RunReader, RunRecord

Verdict = Literal["identical", "within noise", "different"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

STANDARD_ERRORS = 4.0
"""A mean over users is within noise when the paired differences of the users have a mean within
this many of its standard errors from 0: among hundreds of metrics, 2 would often be passed."""
TOLERANCE = 0.01
"""The relative difference that is noise for a number without per-user values, such as coverage."""
_ROUNDING = 1e-9

_NOT_COMPARED = ("time/", "memory/", "model/")


@dataclass(frozen=True)
class Reproduced:
    """One number of the record beside that of the rerun."""

    metric: str
    recorded: float
    again: float
    verdict: Verdict


@dataclass(frozen=True)
class Reproduction:
    """What came of making a run again.

    Attributes:
        original: the run that was made again.
        run_id: of the rerun; None without a tracker, or when the data was not the same.
        other_data: what is not the same before anything is fitted, or None.
        environment: every difference of software and machine, in words.
        metrics: every number; empty when the data was not the same.
    """

    original: RunKey
    run_id: str | None
    other_data: str | None
    environment: tuple[str, ...]
    metrics: tuple[Reproduced, ...]

    def count(self, verdict: Verdict) -> int:
        """Return how many numbers have a verdict."""
        return sum(one.verdict == verdict for one in self.metrics)

    @property
    def same(self) -> bool:
        """Whether the rerun confirms the record: nothing differs beyond noise."""
        return self.other_data is None and not self.count("different")


def reproduce(
    run: str,
    *,
    track: bool = True,
    trusted: Sequence[str] = (),
    config_dir: Path | None = None,
    uri: str | None = None,
) -> Reproduction:
    """Run a recorded run again, from its configuration and seed, and compare what comes out.

    Data and split are compared first, by their fingerprints; when one differs nothing is fitted.

    Args:
        run: its id, the beginning of it, or its name.
        track: record the rerun in the same experiment, with the tag `recexp.reproduces`.
        trusted: packages beside recexp whose classes the recorded configuration may name.
        config_dir: the tree of options that the run was made with, if it was.

    Raises StorageError for an unknown run or one without the files that are needed, ConfigError
    for a configuration that names untrusted code or does not fit this version.
    """
    reader = RunReader(uri)
    (record,) = reader.named([run])
    _check_finished(record)
    config = _yaml(reader, record)
    origin = json.loads(_file(reader, record, "provenance.json").read_text(encoding="utf-8"))
    check_trusted(config, trusted)
    name = f"{record.name} reproduced"  # one of its own, so that the record's stays unambiguous
    config = {**config, "parent_run_id": None, "run_name": name}
    config["split"] = {**config["split"], "save": None}
    with tempfile.TemporaryDirectory(prefix="recexp-") as folder:
        config["output_dir"] = folder
        if not track:
            config["tracking"] = {"_target_": "recexp.tracking.base.NoTracker"}
        composed = recorded(config, origin["choices"], origin["overrides"])
        planned = plan(composed, config_dir)
        tracker = _Verifying(planned.tracker, record)
        try:
            result = run_plan(replace(planned, tracker=tracker))
        except _OtherDataError as error:
            environment = environment_differences(origin, provenance())
            return Reproduction(record.key, None, str(error), environment, ())
    now = {**provenance(), "threads": planned.threads, "threadpools": threadpools()}
    environment = environment_differences(origin, now)
    metrics = _compared(reader, record, result)
    return Reproduction(record.key, result.run_id, None, environment, metrics)


def check_trusted(config: Any, trusted: Sequence[str]) -> None:
    """Raise ConfigError when a configuration names code outside recexp and `trusted` packages."""
    if isinstance(config, Mapping):
        target = config.get("_target_")
        if target is not None and str(target).partition(".")[0] not in ("recexp", *trusted):
            package = str(target).partition(".")[0]
            raise ConfigError(
                f"the record would run {target}; allow it with --trust {package} if you know it"
            )
        for value in config.values():
            check_trusted(value, trusted)
    elif isinstance(config, list):
        for value in config:
            check_trusted(value, trusted)


class _OtherDataError(Exception):
    """The data or the split of the rerun is not that of the record."""


class _Verifying:
    """A tracker that begins a rerun only when its data and split are those of the record."""

    def __init__(self, tracker: Tracker, original: RunRecord) -> None:
        self._tracker = tracker
        self._original = original

    def begin(self, experiment: str, name: str, parent: str | None, record: Record) -> TrackedRun:
        for what in ("dataset", "split"):
            tag = f"recexp.{what}_fingerprint"
            then, now = self._original.tags.get(tag, "none"), record.tags[tag]
            if then != now:
                what = "data is" if what == "dataset" else "data is the same, but its split is"
                raise _OtherDataError(
                    f"the {what} not that of the record: fingerprint {now[:12]}, recorded "
                    f"{then[:12]}"
                )
        tags = {**record.tags, "recexp.reproduces": self._original.run_id}
        return self._tracker.begin(experiment, name, parent, replace(record, tags=tags))

    def resume(self, run_id: str) -> TrackedRun:
        return self._tracker.resume(run_id)


def _check_finished(run: RunRecord) -> None:
    if (kind := run.tags.get("recexp.kind")) is not None:
        raise ConfigError(f"run {run.key} is a {kind}; reproduce one of its runs")
    if "stream.policy" in run.params:
        raise ConfigError(
            f"run {run.key} is a replay: run it again by `recexp replay` with the overrides in its "
            "provenance.json, and see both by `recexp compare`"
        )
    if run.key.status != "FINISHED":
        raise ConfigError(
            f"run {run.key} is {run.key.status}; only finished runs can be reproduced"
        )


def _file(reader: RunReader, run: RunRecord, name: str) -> Path:
    path = reader.artifact(run, name)
    if path is None:
        raise StorageError(
            f"run {run.key} has no {name}, from which it would be reproduced; it was deleted, or "
            "the run was made by another tool"
        )
    return path


def _yaml(reader: RunReader, run: RunRecord) -> dict[str, Any]:
    import yaml

    path = _file(reader, run, "config.yaml")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StorageError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict):
        raise StorageError(f"{path} is damaged: expected keys and values")
    return config


def _compared(reader: RunReader, run: RunRecord, result: Result) -> tuple[Reproduced, ...]:
    """Every number of the record with that of the rerun."""
    then = metric_values(read_estimates(_file(reader, run, "metrics.csv")))
    now = metric_values(estimates(result.outcome))
    for name, value in run.metrics.items():
        listed = metric_name(name) in then or "_ci_" in name
        if not listed and not name.startswith(_NOT_COMPARED):
            then[name] = value
            now[name] = result.metrics.get(name, math.nan)
    changed = [name for name, value in then.items() if not _equal(value, now.get(name))]
    users = _per_user(reader, run, result.outcome, changed) if changed else None
    return tuple(
        Reproduced(
            name,
            value,
            now.get(name, math.nan),
            _verdict(value, now.get(name), _differences(users, name))
            if name in changed
            else "identical",
        )
        for name, value in then.items()
    )


def _equal(a: float, b: float | None) -> bool:
    return a == b or (b is not None and math.isnan(a) and math.isnan(b))


def _verdict(a: float, b: float | None, differences: FloatArray | None) -> Verdict:
    """Whether two numbers that are not equal differ by no more than noise."""
    if b is None or not (math.isfinite(a) and math.isfinite(b)):
        return "different"
    if math.isclose(a, b, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
        return "within noise"
    if differences is None or len(differences) < 2:
        return "within noise" if math.isclose(a, b, rel_tol=TOLERANCE) else "different"
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    within = abs(float(differences.mean())) <= STANDARD_ERRORS * error
    return "within noise" if within else "different"


Users = tuple[Columns, Columns]
"""The per-user columns of the record and of the rerun."""


def _per_user(
    reader: RunReader, run: RunRecord, outcome: Outcome, metrics: Sequence[str]
) -> Users | None:
    path = reader.artifact(run, "per_user.parquet")
    if path is None:
        return None
    now = dict(outcome.evaluation.per_user)
    ids = outcome.dataset.users.to_ids(now.pop("user_idx").tolist())
    whole = all(isinstance(id_, int) for id_ in outcome.dataset.users.ids)
    now["user_id"] = np.asarray(ids if whole else [str(id_) for id_ in ids])
    return read_per_user([path], metrics)[0], now


def _differences(users: Users | None, metric: str) -> FloatArray | None:
    """The paired differences of the users in a metric; None where no user has values of it."""
    if users is None:
        return None
    try:
        return paired_differences(*users, metric)
    except (ConfigError, DataError):
        return None
