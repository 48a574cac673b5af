"""The recorder: a child process that alone imports MLflow and writes runs into its store.

Why a process of its own:
- Importing MLflow with its SQL store takes longer than a whole small experiment; here it happens
  on another core while the experiment loads, fits and evaluates.
- A run never stays RUNNING for ever: when the experiment's process dies, even by SIGKILL, the
  recorder reads the end of its input and closes the open run as KILLED.
- The experiment's process keeps its memory, threads and global state to itself.

It reads one JSON message a line from standard input and answers each with one JSON line on the
descriptor that standard output was (see `mlflow_tracker` for the other end). Everything else that
is printed here goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recexp.lifecycle import remain

# MLflow works without these (its `mlflow-skinny` distribution does not depend on them) and this
# process uses nothing of them, but importing them because they are installed takes seconds.
_NOT_NEEDED_HERE = (
    *("numpy", "pandas", "scipy", "sklearn", "pyarrow", "polars", "matplotlib", "pygments"),
    *("IPython", "flask", "litellm", "torch"),
)


# MLflow's page then shows the experiment as model training, not as one of language models.
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}


_MOST = 1000
"""The metrics that MLflow takes at once."""

_QUESTION = "recexp.question"
"""The tag of a run that says what its whole experiment asks."""


class Recorder:
    """Carries out messages on the runs it has opened, each known by the sender's number for it.

    `at` is when the sender sent a message, in milliseconds since 1970: the import of MLflow lies
    between that and now.
    """

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._open: dict[int, tuple[Any, str]] = {}

    def begin(
        self,
        run: int,
        uri: str,
        experiment: str,
        name: str,
        parent: str | None,
        record: dict[str, Any],
        at: int,
    ) -> dict[str, Any]:
        """Open a run in the store at `uri`; return its id."""
        client = self._client(uri)
        tags = dict(record["tags"])
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        experiment_id = _experiment_id(client, uri, experiment)
        if _QUESTION in tags:
            client.set_experiment_tag(experiment_id, _QUESTION, tags[_QUESTION])
        made = client.create_run(experiment_id, start_time=at, tags=tags, run_name=name)
        self._open[run] = (client, made.info.run_id)
        self.log(run, record | {"tags": {}}, at)
        return {"run_id": made.info.run_id}

    def resume(self, run: int, uri: str, run_id: str, at: int) -> dict[str, Any]:
        """Open a closed run again."""
        client = self._client(uri)
        client.update_run(run_id, status="RUNNING")
        self._open[run] = (client, run_id)
        return {"run_id": run_id}

    def log(self, run: int, record: dict[str, Any], at: int) -> dict[str, Any]:
        """Add metrics, params, tags, dataset inputs and artifacts to an open run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        client, run_id = self._run(run)
        metrics = [Metric(name, value, at, 0) for name, value in record["metrics"].items()]
        for step, values in enumerate(record["steps"]):
            metrics += [Metric(name, value, at, step) for name, value in values.items()]
        for start in range(_MOST, len(metrics), _MOST):
            client.log_batch(run_id, metrics=metrics[start : start + _MOST])
        client.log_batch(
            run_id,
            metrics=metrics[:_MOST],
            params=[Param(name, value) for name, value in record["params"].items()],
            tags=[RunTag(name, value) for name, value in record["tags"].items()],
        )
        if record["datasets"]:
            inputs = [
                DatasetInput(
                    Dataset(
                        name=one["name"],
                        digest=one["digest"],
                        source_type="recexp",
                        source=json.dumps({"uri": one["source"]}),
                        profile=one["profile"],
                    ),
                    [InputTag("mlflow.data.context", one["context"])],
                )
                for one in record["datasets"]
            ]
            client.log_inputs(run_id, inputs)
        if record["folder"] is not None:
            client.log_artifacts(run_id, record["folder"])
        return {}

    def end(self, run: int, status: str, at: int) -> dict[str, Any]:
        """Close an open run with `status`."""
        client, run_id = self._run(run)
        client.set_terminated(run_id, status, end_time=at)
        del self._open[run]
        return {"run_id": run_id}

    def abandon(self) -> None:
        """Close what is still open as KILLED: nobody is left to say how it ended."""
        for run in list(self._open):
            client, run_id = self._open[run]
            client.set_tag(run_id, "recexp.reason", "the process of the run ended unexpectedly")
            self.end(run, "KILLED", int(time.time() * 1000))

    def _run(self, run: int) -> tuple[Any, str]:
        if run not in self._open:
            raise RuntimeError("the run could not be opened")
        return self._open[run]

    def _client(self, uri: str) -> Any:
        if uri not in self._clients:
            from mlflow.tracking import MlflowClient

            with _one_process_at_a_time(uri):
                client = MlflowClient(tracking_uri=uri, registry_uri=uri)
                client.search_experiments(max_results=1)
            self._clients[uri] = client
        return self._clients[uri]


def _experiment_id(client: Any, uri: str, name: str) -> str:
    """The id of the experiment, made when missing, its artifacts beside a local database."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        database = sqlite_path(uri)
        location = None
        if database is not None:
            location = (database.parent / "mlruns" / _folder_name(name)).as_uri()
        try:
            return str(
                client.create_experiment(name, artifact_location=location, tags=_MODEL_TRAINING)
            )
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise RuntimeError(
            f"experiment '{name}' was deleted in MLflow; restore it or set another experiment_name"
        )
    return str(found.experiment_id)


def _folder_name(name: str) -> str:
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip(".")
    return plain if plain == name else f"{plain or 'x'}-{zlib.crc32(name.encode()):08x}"


def sqlite_path(uri: str) -> Path | None:
    """Return the absolute path of the database file of a `sqlite:///` URI, else None."""
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)).absolute() if uri.startswith(prefix) else None


@contextlib.contextmanager
def _one_process_at_a_time(uri: str) -> Iterator[None]:
    """Holds a lock while a local database may be created: MLflow itself does not.

    The lock file lies in the temporary folder, since beside the database it would be litter.
    """
    database = sqlite_path(uri)
    if database is None or os.name != "posix":
        yield
        return
    import fcntl

    name = f"recexp-{os.getuid()}-{zlib.crc32(str(database).encode()):08x}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if lines[0].startswith("(raised as a result of Query-invoked autoflush") and lines[1:]:
        del lines[0]  # SQLAlchemy's hint to its own callers
    return lines[0][:500]


def main() -> None:
    """Serve messages from standard input until it ends."""
    # The terminal's Ctrl-C and a group's SIGTERM reach us too; the other end decides what they
    # mean, and its death closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    remains = remain()  # held until this process ends
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    for module in _NOT_NEEDED_HERE:
        sys.modules[module] = None  # type: ignore[assignment]
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  (the slow part, before it is asked)

    recorder = Recorder()
    for line in sys.stdin:
        message = json.loads(line)
        try:
            answer = {"ok": getattr(recorder, message.pop("op"))(**message)}
        except Exception as error:
            # Whatever fails here is reported to the run, which tells the user.
            answer = {"error": _first_line(error)}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), file=answers, flush=True)
    try:
        recorder.abandon()
    except Exception as error:  # a full disk, a server that is gone: nobody is left to answer
        sys.stderr.write(f"recexp: a run stays open in MLflow ({_first_line(error)})\n")
    del remains


if __name__ == "__main__":
    main()
