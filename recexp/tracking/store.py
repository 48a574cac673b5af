"""Reading what was recorded: runs as a table, fitted models from their artifacts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.artifact import FittedModel
from recexp.artifact import load as load_model
from recexp.errors import StorageError
from recexp.tracking.mlflow_tracker import tracking_uri

if TYPE_CHECKING:
    import pandas as pd


def runs(experiment: str = "recexp") -> pd.DataFrame:
    """Return the runs of an experiment, newest first: `run_id`, `metrics.*`, `params.*`, `tags.*`.

    Raises StorageError when the store has no such experiment or cannot be read.
    """
    mlflow = _mlflow()
    try:
        if mlflow.get_experiment_by_name(experiment) is None:
            raise StorageError(
                f"no experiment '{experiment}' in {tracking_uri()}; run something first, or set "
                "MLFLOW_TRACKING_URI"
            )
        table: pd.DataFrame = mlflow.search_runs(experiment_names=[experiment])
    except mlflow.exceptions.MlflowException as error:
        raise StorageError(f"{tracking_uri()} cannot be read: {error}".splitlines()[0]) from error
    return table


def load(run_id: str, trusted: Sequence[str] = ()) -> FittedModel:
    """Return the fitted model of a run: `.recommend(user_ids, k)`, `.similar(item_ids, k)`.

    Only classes of recexp, and of the packages named in `trusted`, are imported; a model whose
    files were changed is refused. Raises StorageError for an unknown run or one without a model.
    """
    mlflow = _mlflow()
    with tempfile.TemporaryDirectory(prefix="recexp-") as folder:
        try:
            mlflow.MlflowClient().get_run(run_id)
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path="model", dst_path=folder
            )
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise StorageError(
                f"run {run_id} has no model in {tracking_uri()}: {error}".splitlines()[0]
            ) from error
        return load_model(Path(path), trusted)


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    return mlflow
