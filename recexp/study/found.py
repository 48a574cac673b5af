"""What the runs of a study found, for its tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recexp.arrays import AnyArray, FloatArray
from recexp.errors import StorageError
from recexp.evaluation.metrics import mlflow_name
from recexp.evaluation.saved import read_per_user
from recexp.study.definition import Rows
from recexp.tracking.records import RunReader, RunRecord

_VARIED = (
    *("dataset", "split", "algo", "stream.policy", "stream.update_every", "stream.refit_every"),
    *("stream.delay", "seed"),
)


@dataclass(frozen=True, eq=False)
class Tuned:
    """A search of a study: its default and best value on validation, and the test run."""

    algo: str
    default: float
    best: float
    trials: int
    seconds: float
    run: RunRecord


@dataclass(frozen=True, eq=False)
class Found:
    """The finished runs of a study.

    Attributes:
        metric: which the tables show; `segments` of users beside the whole.
        runs: of its `run` and `replay` steps, in their order; `tuned` of its `tune` steps.
    """

    metric: str
    segments: tuple[str, ...]
    runs: tuple[RunRecord, ...]
    tuned: tuple[Tuned, ...]
    reader: RunReader

    def per_user(self, run: RunRecord) -> tuple[AnyArray, FloatArray]:
        """Return the users with a value of the metric in a run, ascending by id, and the values."""
        columns = read_per_user([self.file(run)], [self.metric])[0]
        values = columns[mlflow_name(self.metric)].astype(np.float64)
        kept = ~np.isnan(values)
        order = np.argsort(columns["user_id"][kept], kind="stable")
        return columns["user_id"][kept][order], values[kept][order]

    def file(self, run: RunRecord) -> Path:
        """Return the file of a run's values by user."""
        path = self.reader.artifact(run, "per_user.parquet")
        if path is None:
            raise StorageError(f"run {run.key} has no per_user.parquet; run it again")
        return path

    def matrix(self, runs: Sequence[RunRecord]) -> FloatArray:
        """Return float64 (n_runs, n_users): the metric of the users whom all runs evaluated."""
        found = [self.per_user(run) for run in runs]
        users = found[0][0]
        for other, _ in found[1:]:
            users = np.intersect1d(users, other)
        return np.stack([values[np.isin(ids, users)] for ids, values in found])

    def table(self) -> Rows:
        """Return every run: what varies, the metric with its interval and users, segments, rmse."""
        varied = [
            key for key in _VARIED if len({run.params.get(key) for run in self.runs}) > 1
        ] or ["algo"]
        names = [key.removeprefix("stream.") for key in varied]
        rows = [[*names, self.metric, *(one.replace("_", " ") for one in self.segments), "rmse"]]
        for run in self.runs:
            cells = [self._cell(run, segment) for segment in ("", *self.segments)]
            rmse = run.metrics.get("rmse", math.nan)
            mark = " (c)" if run.tags.get("recexp.rating_source") == "calibrated" else ""
            cells.append("–" if math.isnan(rmse) else f"{rmse:.3f}{mark}")
            rows.append([*(run.params.get(key, "–") for key in varied), *cells])
        return rows

    def _cell(self, run: RunRecord, segment: str) -> str:
        prefix = f"{segment}/" if segment else ""
        name = f"{prefix}{mlflow_name(self.metric)}"
        value, low, high = (
            run.metrics.get(f"{name}{end}", math.nan) for end in ("", "_ci_low", "_ci_high")
        )
        if math.isnan(value):
            return "–"
        users = run.metrics.get(f"{prefix}n_users" if segment else "evaluated_users", math.nan)
        return f"{value:.3f} [{low:.3f}, {high:.3f}] ({users:.0f})"
