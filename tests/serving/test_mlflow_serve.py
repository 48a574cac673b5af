"""The same fitted model is served by MLflow itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import recexp
from recexp.tracking.records import RunReader
from recexp.tracking.store import find_model


@pytest.mark.slow
def test_mlflow_models_serve_gives_the_lists_of_the_run(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.uri)
    run = recorded.ids["small/als"]
    folder = find_model(run, RunReader())[1]
    model = recexp.load(run)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), *where],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(recexp.__file__).parents[1]),
            # MLflow starts uvicorn by its name.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    users = model.train.users.ids[:2]
    asked = {"dataframe_split": {"columns": ["user"], "data": [[one] for one in users]}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(asked | {"params": {"k": 3}}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        end = time.monotonic() + 120
        while True:
            try:
                answer = json.loads(urllib.request.urlopen(request, timeout=30).read())
                break
            except OSError:
                assert time.monotonic() < end
                assert server.poll() is None
                time.sleep(0.5)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(server.pid, 15)
        server.wait(30)
    expected = model.recommend(users, 3)
    found = [(one["user"], one["item"], one["rank"]) for one in answer["predictions"]]
    columns = [expected[name].tolist() for name in ("user", "item", "rank")]
    assert found == list(zip(*columns, strict=True))
