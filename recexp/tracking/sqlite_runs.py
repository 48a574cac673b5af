"""Runs read straight from a local MLflow database, without importing MLflow."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recexp.errors import StorageError
from recexp.tracking.records import RunKey, RunRecord

_SECONDS = 20  # MLflow's own patience with a locked database
_CHUNK = 500  # SQLite allows 999 variables in old versions


class SqliteRuns:
    """The runs in the database at `path`, which is only read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def experiments(self) -> dict[str, dict[str, str]]:
        with self._open() as database:
            rows = database.execute(
                "SELECT e.name, t.key, t.value FROM experiments e LEFT JOIN experiment_tags t "
                "USING (experiment_id) WHERE e.lifecycle_stage = 'active' "
                "ORDER BY e.last_update_time DESC"
            ).fetchall()
        found: dict[str, dict[str, str]] = {}
        for name, key, value in rows:
            tags = found.setdefault(name, {})
            if key is not None:
                tags[key] = value
        return found

    def index(self, experiment: str | None) -> list[RunKey]:
        with self._open() as database:
            rows = database.execute(
                "SELECT r.run_uuid, r.name, e.name, r.status, r.start_time FROM runs r "
                "JOIN experiments e USING (experiment_id) "
                "WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active' "
                "AND (? IS NULL OR e.name = ?) ORDER BY r.start_time DESC, r.run_uuid",
                (experiment, experiment),
            ).fetchall()
        return [RunKey(run, name or "", of, status, at or 0) for run, name, of, status, at in rows]

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        keys = {key.run_id: key for key in self.index(None)}
        with self._open() as database:
            folders = _by_run(database, "SELECT run_uuid, '', artifact_uri FROM runs", run_ids)
            params = _by_run(database, "SELECT run_uuid, key, value FROM params", run_ids)
            tags = _by_run(database, "SELECT run_uuid, key, value FROM tags", run_ids)
            metrics = _by_run(
                database,
                "SELECT run_uuid, key, CASE is_nan WHEN 1 THEN NULL ELSE value END "
                "FROM latest_metrics",
                run_ids,
            )
        return [
            RunRecord(
                keys[run],
                folders[run][""],
                params.get(run, {}),
                {k: math.nan if v is None else float(v) for k, v in metrics.get(run, {}).items()},
                {k: v or "" for k, v in tags.get(run, {}).items()},
            )
            for run in run_ids
        ]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Hold the database open for reading; tell in one line why it cannot be."""
        if not self._path.is_file():
            raise StorageError(
                f"there is no store {self._path}; run something first, go to the folder where you "
                "did, or set MLFLOW_TRACKING_URI"
            )
        try:
            uri = f"{self._path.as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, _SECONDS, uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            what = str(error)
            if "locked" in what:
                what = f"it is locked by another program for over {_SECONDS} s; try again later"
            elif "no such" in what or "not a database" in what:
                what = f"it is no MLflow database ({what}); set MLFLOW_TRACKING_URI"
            raise StorageError(f"the store {self._path} cannot be read: {what}") from error


def _by_run(
    database: sqlite3.Connection, select: str, run_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Rows of (run, key, value) as a mapping for each run."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(run_ids), _CHUNK):
        chunk = run_ids[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        for run, key, value in database.execute(f"{select} WHERE run_uuid IN ({marks})", chunk):
            found.setdefault(run, {})[key] = value
    return found
