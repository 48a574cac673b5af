"""Runs read through MLflow itself: from a server, and whenever its filter language is used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from recexp.errors import ConfigError, StorageError
from recexp.tracking.mlflow_tracker import check_server, without_password
from recexp.tracking.records import RunKey, RunRecord

_PAGE = 1000


def import_mlflow() -> Any:
    """Return MLflow, imported now and told to be quiet."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow

    return mlflow


class MlflowRuns:
    """The runs of the store at `uri`, of any kind that MLflow knows."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def experiments(self) -> dict[str, dict[str, str]]:
        return {one.name: dict(one.tags) for one in self._experiments}

    def index(self, experiment: str | None) -> list[RunKey]:
        names = [one.name for one in self._experiments if experiment in (None, one.name)]
        return [self._key(run) for run in self._search(names, "")]

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        with self._explained():
            runs = [self._client.get_run(run_id) for run_id in run_ids]
        return [
            RunRecord(
                self._key(run),
                run.info.artifact_uri,
                dict(run.data.params),
                dict(run.data.metrics),
                dict(run.data.tags),
            )
            for run in runs
        ]

    def search(self, experiments: Sequence[str], where: str) -> list[str]:
        """Return the ids of the runs that MLflow's filter `where` finds, newest first.

        Raises ConfigError when MLflow does not understand it.
        """
        return [run.info.run_id for run in self._search(experiments, where)]

    def download(self, run_id: str, name: str, folder: Path) -> None:
        """Copy an artifact into a folder; raises FileNotFoundError when the run has none."""
        with self._explained():
            parent = name.rpartition("/")[0]
            listed = self._client.list_artifacts(run_id, parent or None)
            if not any(one.path == name for one in listed):
                raise FileNotFoundError(name)
            self._client.download_artifacts(run_id, name, str(folder))

    @cached_property
    def _client(self) -> Any:
        check_server(self._uri)
        mlflow = import_mlflow()
        with self._explained():
            return mlflow.MlflowClient(tracking_uri=self._uri)

    @cached_property
    def _experiments(self) -> list[Any]:
        with self._explained():
            return list(self._client.search_experiments(order_by=["last_update_time DESC"]))

    @cached_property
    def _names(self) -> dict[str, str]:
        return {one.experiment_id: one.name for one in self._experiments}

    def _search(self, experiments: Sequence[str], where: str) -> list[Any]:
        from mlflow.exceptions import MlflowException

        ids = [one.experiment_id for one in self._experiments if one.name in experiments]
        found: list[Any] = []
        token = None
        while ids:
            try:
                page = self._client.search_runs(
                    ids, where, max_results=_PAGE, order_by=["start_time DESC"], page_token=token
                )
            except MlflowException as error:
                if where and error.error_code == "INVALID_PARAMETER_VALUE":
                    raise ConfigError(
                        f"MLflow does not understand the filter {where}: {_line(error)}"
                    ) from error
                raise StorageError(self._unreadable(error)) from error
            found += page
            token = page.token
            if not token:
                break
        return found

    def _key(self, run: Any) -> RunKey:
        info = run.info
        experiment = self._names.get(info.experiment_id, info.experiment_id)
        return RunKey(info.run_id, info.run_name or "", experiment, info.status, info.start_time)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell in one line what MLflow raises."""
        import_mlflow()
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, ConnectionError, TimeoutError) as error:
            raise StorageError(self._unreadable(error)) from error

    def _unreadable(self, error: Exception) -> str:
        return f"the store {without_password(self._uri)} cannot be read: {_line(error)}"


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
