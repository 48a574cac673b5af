"""Finding and reading what was recorded: runs by id, name or experiment, and their artifacts."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from recexp.errors import ConfigError, StorageError, did_you_mean
from recexp.tracking.mlflow_tracker import tracking_uri, without_password
from recexp.tracking.recorder import sqlite_path


@dataclass(frozen=True)
class RunKey:
    """What a run is found by; `started` in milliseconds since 1970."""

    run_id: str
    name: str
    experiment: str
    status: str
    started: int

    def __str__(self) -> str:
        day = datetime.fromtimestamp(self.started / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        return f"{self.run_id[:8]} ({self.name}, {day})"


@dataclass(frozen=True)
class RunRecord:
    """A run as it was recorded. `artifacts` is the URI of its folder of files."""

    key: RunKey
    artifacts: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def run_id(self) -> str:
        return self.key.run_id

    @property
    def name(self) -> str:
        return self.key.name


class RunStore(Protocol):
    """A store of runs. Deleted runs and experiments are not in it."""

    def experiments(self) -> dict[str, dict[str, str]]:
        """Return the tags of every experiment by its name."""
        ...

    def index(self, experiment: str | None) -> list[RunKey]:
        """Return the runs of an experiment, or of all, newest first."""
        ...

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return runs in full, in this order."""
        ...


class RunReader:
    """Reads a store: of `uri`, else that in which runs are kept (see `tracking_uri`).

    A local SQLite store is read without MLflow, whose import takes seconds. Raises StorageError for
    a store that is not there, is locked, or does not answer.
    """

    def __init__(self, uri: str | None = None) -> None:
        self.uri = uri or tracking_uri()
        self._downloads: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def store(self) -> RunStore:
        """The way to this store."""
        database = sqlite_path(self.uri)
        if database is None:
            from recexp.tracking.mlflow_runs import MlflowRuns

            return MlflowRuns(self.uri)
        from recexp.tracking.sqlite_runs import SqliteRuns

        return SqliteRuns(database)

    @property
    def where(self) -> str:
        """The store's address, without a password."""
        return without_password(self.uri)

    def experiment_tags(self, name: str) -> dict[str, str]:
        """Return the tags of an experiment; raises StorageError when there is none."""
        experiments = self.store.experiments()
        if name not in experiments:
            hint = did_you_mean(name, experiments) or "; run something first"
            raise StorageError(f"no experiment '{name}' in {self.where}{hint}")
        return experiments[name]

    def of_experiment(self, name: str, where: str | None = None) -> list[RunRecord]:
        """Return the runs of an experiment, newest first, or those that MLflow's filter finds.

        Raises StorageError when there is no such experiment, ConfigError for a filter that MLflow
        does not understand.
        """
        self.experiment_tags(name)
        if where is None:
            found = [key.run_id for key in self.store.index(name)]
        else:
            found = self._filtered([name], where)
        return self.store.read(found)

    def matching(self, where: str) -> list[RunRecord]:
        """Return the runs of any experiment that MLflow's filter finds, newest first."""
        return self.store.read(self._filtered(list(self.store.experiments()), where))

    def named(self, wanted: Sequence[str], experiment: str | None = None) -> list[RunRecord]:
        """Return runs by id, by the beginning of an id (4 letters at least) or by their name.

        Raises StorageError for an unknown run, ConfigError when several answer to a name.
        """
        if experiment is not None:
            self.experiment_tags(experiment)
        keys = self.store.index(experiment)
        ids = [self._resolve(text, keys).run_id for text in wanted]
        return self.store.read(list(dict.fromkeys(ids)))

    def artifact(self, run: RunRecord, name: str) -> Path | None:
        """Return the path of a file or folder of a run, or None when the run has none.

        A local store's file is read where it lies; another's is downloaded first. Raises
        StorageError when the folder of all its files is gone.
        """
        folder = _local(run.artifacts)
        if folder is None:
            return self._downloaded(run, name)
        path = folder / name
        if path.exists():
            return path
        if not folder.is_dir():
            raise StorageError(
                f"the files of run {run.key} are gone: there is no folder {folder}; "
                "were they moved or deleted?"
            )
        return None

    def _resolve(self, text: str, keys: Sequence[RunKey]) -> RunKey:
        exact = [key for key in keys if key.run_id == text]
        begins = [key for key in keys if len(text) >= 4 and key.run_id.startswith(text)]
        found = exact or begins or [key for key in keys if key.name == text]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(map(str, found[:4])) + (", ..." if len(found) > 4 else "")
            raise ConfigError(f"{len(found)} runs answer to '{text}': {listed}; give an id")
        if not keys:
            raise StorageError(f"no run '{text}': there are no runs in {self.where}")
        names = {key.name for key in keys}
        hint = did_you_mean(text, names | {key.run_id for key in keys})
        if hint.startswith("; accepted"):
            hint = f"; the newest are {', '.join(map(str, keys[:3]))}"
        raise StorageError(f"no run '{text}' in {self.where}{hint}")

    def _filtered(self, experiments: list[str], where: str) -> list[str]:
        from recexp.tracking.mlflow_runs import MlflowRuns

        self.store.experiments()  # MLflow would make a new database where there is none
        return MlflowRuns(self.uri).search(experiments, where)

    def _downloaded(self, run: RunRecord, name: str) -> Path | None:
        from recexp.tracking.mlflow_runs import MlflowRuns

        if self._downloads is None:
            self._downloads = tempfile.TemporaryDirectory(prefix="recexp-")
        folder = Path(self._downloads.name) / run.run_id
        if not (folder / name).exists():
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                MlflowRuns(self.uri).download(run.run_id, name, folder)
        return folder / name if (folder / name).exists() else None


def _local(uri: str) -> Path | None:
    """The folder of a local artifact URI."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    local = parts.scheme == "" or (os.name == "nt" and len(parts.scheme) == 1)
    return Path(uri) if local else None
