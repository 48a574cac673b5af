"""Many runs under one parent: what `run -m` does."""

from __future__ import annotations

import csv
import logging
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recexp import config
from recexp.config import Composed
from recexp.evaluation.metrics import mlflow_name
from recexp.experiment import run_composed
from recexp.plan import plan
from recexp.recording import ending
from recexp.reporting.tables import align
from recexp.tracking.base import Record

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

    A job that fails does not stop the others. Raises ConfigError before the first job for what no
    job could do.
    """
    first_job, swept = _first_job(overrides)
    first = plan(config.compose(first_job, config_dir), config_dir)
    parent = first.tracker.begin(
        first.frame.experiment_name,
        first.frame.run_name or f"sweep over {', '.join(swept)}",
        first.frame.parent_run_id,
        Record(params={"overrides": " ".join(overrides)}, tags={"recexp.kind": "sweep"}),
    )
    with ending(parent):
        parent_id = parent.run_id()
        child = [] if parent_id is None else [f"parent_run_id={parent_id}"]
        done = config.sweep([*overrides, *child], partial(_run_job, config_dir), config_dir)
        jobs = tuple(
            Job(tuple(one for one in job if one.partition("=")[0] in swept), *found)
            for job, found in done
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


def _run_job(
    config_dir: Path | None, composed: Composed
) -> tuple[str | None, dict[str, float], str | None]:
    """Run one job, here or in a worker process; return run id, metrics and why it failed."""
    try:
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

    from recexp.errors import ConfigError

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
