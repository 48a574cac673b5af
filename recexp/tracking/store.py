"""Reading what was recorded: runs as a table, fitted models from their artifacts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recexp.artifact import FittedModel, digest
from recexp.artifact import load as load_model
from recexp.errors import StorageError
from recexp.tracking.mlflow_tracker import tracking_uri
from recexp.tracking.records import RunReader

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


def load(run: str, trusted: Sequence[str] = ()) -> FittedModel:
    """Return the fitted model of a run: `.recommend(user_ids, k)`, `.similar(item_ids, k)`.

    `run` is as in `find_model`. Only classes of recexp, and of the packages named in `trusted`, are
    imported; a model whose files were changed is refused. Raises StorageError for an unknown run or
    one without a model.
    """
    reader = RunReader()
    return load_model(find_model(run, reader)[1], trusted)


def find_model(run: str, reader: RunReader) -> tuple[str, Path]:
    """Return the name for good of a run, and the folder of its fitted model.

    `run` is an id, the beginning of one, or a name (see `RunReader.named`); or the folder of a run
    that no tracker took (`tracking=none`). What is downloaded lives as long as `reader` does.
    Raises StorageError for an unknown run, one without a model, or one whose model is not that
    which the run recorded.
    """
    folder = Path(run)
    if (folder / "model").is_dir():
        return str(folder.absolute()), folder / "model"
    record = reader.named([run])[0]
    path = reader.artifact(record, "model")
    if path is None:
        raise StorageError(
            f"run {record.key} has no model: it did not finish, or its algorithm has no state"
        )
    recorded = record.tags.get(MODEL_DIGEST)
    if recorded is not None and digest(path) != recorded:
        raise StorageError(
            f"the model of run {record.key} was changed since the run recorded it ({path}); "
            "put the files back, or run it again"
        )
    return record.run_id, path


MODEL_DIGEST = "recexp.model_digest"
"""The tag of a run with `artifact.digest` of its model, beyond the reach of who can only write
files."""


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    return mlflow
