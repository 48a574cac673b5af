"""The tracker that writes into an MLflow store, through the recorder process."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import select
import socket
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recexp.child import start_child
from recexp.errors import StorageError
from recexp.tracking.base import Record, TrackedRun


def tracking_uri() -> str:
    """Return where runs are kept: `MLFLOW_TRACKING_URI`, else `mlflow.db` in this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


class MlflowTracker:
    """Writes runs into the MLflow store at `uri` (default: see `tracking_uri`)."""

    def __init__(self, uri: str | None = None) -> None:
        self.uri = uri or tracking_uri()

    def begin(self, experiment: str, name: str, parent: str | None, record: Record) -> TrackedRun:
        _check_store(self.uri)
        run = MlflowRun(recorder(), self.uri)
        run.send(
            "begin",
            uri=self.uri,
            experiment=experiment,
            name=name,
            parent=parent,
            record=_message(record),
        )
        return run

    def resume(self, run_id: str) -> TrackedRun:
        _check_store(self.uri)
        run = MlflowRun(recorder(), self.uri)
        run.send("resume", uri=self.uri, run_id=run_id)
        return run


class MlflowRun:
    """A run that is open in the recorder process. Messages are sent ahead, answers read later."""

    def __init__(self, process: RecorderProcess, uri: str) -> None:
        self._process = process
        self._uri = uri
        self._number = next(_numbers)

    def run_id(self) -> str:
        """Return the id; waits until the run is open."""
        return self._answered()

    def check(self) -> None:
        """Raise StorageError if the store has already refused something."""
        self._process.receive(wait=False)
        self._raise_failure()

    def log(self, record: Record) -> None:
        self.send("log", record=_message(record))

    def end(self, status: str) -> str:
        """Close the run; waits until everything is stored, and returns the run id."""
        self.send("end", status=status)
        return self._answered()

    def send(self, op: str, **message: Any) -> None:
        """Send the recorder a message about this run without waiting for its answer."""
        self._process.send(self._number, op, at=int(time.time() * 1000), **message)

    def _answered(self) -> str:
        self._process.receive(wait=True)
        self._raise_failure()
        return self._process.run_ids[self._number]

    def _raise_failure(self) -> None:
        failure = self._process.failures.get(self._number)
        if failure is not None:
            raise StorageError(
                f"the MLflow store {without_password(self._uri)} failed: {failure}; "
                "check MLFLOW_TRACKING_URI, or run with tracking=none"
            )


_numbers = itertools.count()


class RecorderProcess:
    """The recorder process and the pipe to it.

    `run_ids` and `failures` (the first of each run) are what it has answered so far, by the
    number of the run.
    """

    def __init__(self) -> None:
        self._child = start_child("recexp.tracking.recorder")
        self._unanswered: deque[int] = deque()
        self.run_ids: dict[int, str] = {}
        self.failures: dict[int, str] = {}

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def send(self, run: int, op: str, **message: Any) -> None:
        """Send a message about a run without waiting for its answer."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `receive` tells
            self._child.stdin.write(json.dumps({"op": op, "run": run, **message}) + "\n")
        self._unanswered.append(run)

    def receive(self, *, wait: bool) -> None:
        """Take in the answers: with `wait`, to all that was sent, else those that are there."""
        assert self._child.stdout is not None
        while self._unanswered and (wait or self._readable()):
            line = self._child.stdout.readline()
            run = self._unanswered.popleft()
            reply: dict[str, Any] = {"error": "its process ended unexpectedly"}
            if line:
                reply = json.loads(line)
            if "error" in reply:
                self.failures.setdefault(run, reply["error"])
            elif "run_id" in reply["ok"]:
                self.run_ids[run] = reply["ok"]["run_id"]

    def _readable(self) -> bool:
        assert self._child.stdout is not None
        return bool(select.select([self._child.stdout], [], [], 0)[0])


@functools.cache
def _recorder(pid: int) -> RecorderProcess:
    return RecorderProcess()


def recorder() -> RecorderProcess:
    """Return this process's recorder, started at the first call.

    Call it early: while the recorder imports MLflow, the caller goes on.
    """
    process = _recorder(os.getpid())  # a forked worker must not share its parent's pipe
    if not process.alive:
        _recorder.cache_clear()
        process = _recorder(os.getpid())
    return process


def _message(record: Record) -> dict[str, Any]:
    message = asdict(record)
    message["folder"] = None if record.folder is None else str(record.folder.absolute())
    return message


def _check_store(uri: str) -> None:
    """Raise StorageError at once for what MLflow would retry for minutes."""
    check_server(uri)
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///")).absolute()
        writable = os.access(database if database.exists() else database.parent, os.W_OK)
        if database.is_dir() or not database.parent.is_dir() or not writable:
            raise StorageError(
                f"the MLflow store {uri} cannot be written; go to a folder that can be, or set "
                "MLFLOW_TRACKING_URI"
            )
    elif urlsplit(uri).scheme in ("", "file"):
        raise StorageError(
            f"MLFLOW_TRACKING_URI={uri} is a file store, which MLflow no longer writes; "
            "use sqlite:///PATH/mlflow.db or a server"
        )


def check_server(uri: str) -> None:
    """Raise StorageError unless a server answers, where the store is one's."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        raise StorageError(
            f"no MLflow server answers at {without_password(uri)} ({error.strerror or error});"
            " start it, set MLFLOW_TRACKING_URI, or run with tracking=none"
        ) from error


def without_password(uri: str) -> str:
    """Return the address of a store as it may be shown."""
    parts = urlsplit(uri)
    return uri if parts.password is None else uri.replace(f":{parts.password}@", ":***@")
