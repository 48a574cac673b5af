"""Many runs under one parent: what `run -m` does."""

from __future__ import annotations

import csv
import logging
import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recexp import build, config
from recexp.config import Composed
from recexp.errors import ConfigError, redacted
from recexp.evaluation.metrics import mlflow_name
from recexp.experiment import run_composed
from recexp.lifecycle import alone, die_with
from recexp.plan import Plan, plan
from recexp.recording import config_hash, ending
from recexp.reporting.tables import align
from recexp.tracking.base import Record
from recexp.tracking.mlflow_tracker import MlflowTracker
from recexp.tracking.recorder import sqlite_path
from recexp.tracking.records import RunReader, RunRecord

log = logging.getLogger(__name__)

REPEATS = ("seed", "split.fold", "split.window")
"""Keys whose values are repetitions of one experiment: a sweep over them alone has a mean."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep: what it varied, and its metrics or why it failed."""

    overrides: tuple[str, ...]
    run_id: str | None
    metrics: dict[str, float]
    error: str | None


@dataclass(frozen=True)
class SweepSummary:
    """The jobs of a sweep, in order.

    `objective` is the metric that the table shows; `means` and `deviations` are over the jobs that
    did not fail, when they repeat one experiment, else empty.
    """

    jobs: tuple[Job, ...]
    objective: str
    run_id: str | None
    means: dict[str, float]
    deviations: dict[str, float]

    @property
    def failed(self) -> bool:
        return any(job.error is not None for job in self.jobs)

    def document(self) -> dict[str, Any]:
        """Return the summary as plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        name = mlflow_name(self.objective)
        header = ["job", self.objective, "95 % interval", *_SEGMENTS, "run id"]
        rows = [
            [" ".join(job.overrides), *_cells(job, name), job.run_id or ""] for job in self.jobs
        ]
        if name in self.means:
            spread = f"± {self.deviations[name]:.4f} (sd)"
            segments = [_number(self.means, f"{segment}/{name}") for segment in _SEGMENTS]
            rows.append(["mean", _number(self.means, name), spread, *segments, self.run_id or ""])
        lines = [align([header, *rows])]
        lines += [
            f"failed   {' '.join(job.overrides)}: {job.error}" for job in self.jobs if job.error
        ]
        if self.run_id:
            lines.append(f"parent   {self.run_id}")
        return "\n".join(lines)


_SEGMENTS = ("warm_users", "cold_users")
"""The segments whose objective the table shows beside the whole."""


def _cells(job: Job, name: str) -> list[str]:
    if job.error is not None:
        return ["failed", "", *("" for _ in _SEGMENTS)]
    low, high = (_number(job.metrics, f"{name}_ci_{end}") for end in ("low", "high"))
    segments = [_number(job.metrics, f"{segment}/{name}") for segment in _SEGMENTS]
    return [_number(job.metrics, name), f"[{low}, {high}]", *segments]


def _number(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else "-"


def run_sweep(overrides: Sequence[str], config_dir: Path | None = None) -> SweepSummary:
    """Run every job of a sweep under one parent run, and summarize them on the parent.

    A job that fails does not stop the others. With `resume=true` among the overrides, the newest
    sweep with the same overrides goes on: jobs that it has finished are taken from its record.
    Raises ConfigError before the first job for what no job could do, StorageError while another
    process is at this sweep.
    """
    resume, overrides = _resume(overrides)
    first_job, swept = _first_job(overrides)
    first = plan(config.compose(first_job, config_dir), config_dir)
    identity = redacted(" ".join(one for one in overrides if not one.startswith(_HOW)))
    where = first.tracker.uri if isinstance(first.tracker, MlflowTracker) else str(Path.cwd())
    with alone(f"sweep {where} {first.frame.experiment_name} {identity}"):
        known, done = _finished(first, identity) if resume else (None, {})
        if known is not None:
            parent = first.tracker.resume(known)
        else:
            parent = first.tracker.begin(
                first.frame.experiment_name,
                first.frame.run_name or f"sweep over {', '.join(swept)}",
                first.frame.parent_run_id,
                Record(params={"overrides": identity}, tags={"recexp.kind": "sweep"}),
            )
        with ending(parent):
            parent_id = parent.run_id()
            child = [] if parent_id is None else [f"parent_run_id={parent_id}"]
            task = partial(_run_job, config_dir, done, (os.getpid(), platform.node()))
            jobs = tuple(
                Job(tuple(one for one in job if one.partition("=")[0] in swept), *found)
                for job, found in config.sweep([*overrides, *child], task, config_dir)
            )
            repeated = bool(swept) and set(swept) <= set(REPEATS)
            means, deviations = _over_jobs(jobs) if repeated else ({}, {})
            folder = Path(tempfile.mkdtemp(prefix="recexp-sweep-"))
            try:
                _write_jobs(folder / "jobs.csv", jobs)
                metrics = means | {f"{name}_std": value for name, value in deviations.items()}
                parent.log(Record(metrics=metrics, folder=folder))
                run_id = parent.end("FINISHED")
            finally:
                shutil.rmtree(folder)
    return SweepSummary(jobs, first.frame.objective, run_id, means, deviations)


_HOW = ("hydra/launcher=", "hydra.launcher.", "threads=")
"""The beginnings of overrides that say how a sweep runs, not what it finds."""

Done = Mapping[str, tuple[str, dict[str, float]]]
"""The finished jobs of a sweep: run id and metrics by config hash."""


def _resume(overrides: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether to resume, and the overrides without that key."""
    resume, rest = False, []
    for text, (key, value, _) in zip(overrides, config.assignments(overrides), strict=True):
        if key != "resume":
            rest.append(text)
        elif isinstance(value, bool):
            resume = value
        else:
            raise ConfigError(f"resume={value}: expected true | false")
    return resume, rest


def _finished(first: Plan, identity: str) -> tuple[str | None, Done]:
    """The parent run of the newest sweep with these overrides, and its finished jobs."""
    if not isinstance(first.tracker, MlflowTracker):
        raise ConfigError("resume=true needs a record of what is finished: leave out tracking=none")
    runs = _recorded(RunReader(first.tracker.uri), first.frame.experiment_name)
    same = (run for run in runs if run.tags.get("recexp.kind") == "sweep")
    parent = next((run for run in same if run.params.get("overrides") == identity), None)
    if parent is None:
        log.warning("resume=true: no sweep of these overrides is recorded; this one is new")
        return None, {}
    done = {
        run.tags["recexp.config_hash"]: (run.run_id, dict(run.metrics))
        for run in runs
        if run.tags.get("mlflow.parentRunId") == parent.run_id
        and run.key.status == "FINISHED"
        and "recexp.config_hash" in run.tags
    }
    log.info("resumed: %d jobs are finished already", len(done))
    return parent.run_id, done


def _recorded(reader: RunReader, experiment: str) -> list[RunRecord]:
    """The runs of an experiment, newest first; none when there is no store or experiment yet."""
    database = sqlite_path(reader.uri)
    if database is not None and not database.exists():
        return []
    return reader.of_experiment(experiment) if experiment in reader.store.experiments() else []


def _run_job(
    config_dir: Path | None, done: Done, sweeper: tuple[int, str], composed: Composed
) -> tuple[str | None, dict[str, float], str | None]:
    """Run one job, here or in a worker process; return run id, metrics and why it failed.

    `sweeper` is the process of the sweep, and its host: a worker does not outlive it.
    """
    if os.getpid() != sweeper[0]:
        die_with(*sweeper)
    try:
        finished = done.get(config_hash(redacted(build.plain(composed.config))))
        if finished is not None:
            return *finished, None
        result = run_composed(composed, config_dir)
    except Exception as error:
        # Whatever stopped this job is told in the summary; the other jobs go on.
        log.debug("job failed", exc_info=True)
        return None, {}, f"{error or type(error).__name__}".splitlines()[0]
    return result.run_id, dict(result.metrics), None


def _first_job(overrides: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The overrides of the first job, and the keys that the sweep varies."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    first, swept = [], []
    for text, override in zip(overrides, parsed, strict=True):
        if override.is_sweep_override():
            key = override.get_key_element()
            first.append(f"{key}={next(iter(override.sweep_string_iterator()))}")
            swept.append(key.lstrip("+"))
        else:
            first.append(text)
    return first, tuple(swept)


def _over_jobs(jobs: Sequence[Job]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and standard deviation (n - 1) of every metric that all finished jobs have."""
    finished = [job.metrics for job in jobs if job.error is None]
    if not finished:
        return {}, {}
    names = [
        name
        for name in finished[0]
        if all(name in metrics for metrics in finished) and "_ci_" not in name
    ]
    columns = {name: [metrics[name] for metrics in finished] for name in names}
    means = {name: statistics.fmean(values) for name, values in columns.items()}
    spread = {
        name: statistics.stdev(values) if len(values) > 1 else 0.0
        for name, values in columns.items()
    }
    return means, spread


def _write_jobs(path: Path, jobs: Sequence[Job]) -> None:
    names = list(dict.fromkeys(name for job in jobs for name in job.metrics))
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["overrides", "run_id", "error", *names])
        for job in jobs:
            values = [job.metrics.get(name, "") for name in names]
            rows.writerow([" ".join(job.overrides), job.run_id or "", job.error or "", *values])
