"""The command as a process: it says where it is, survives what it must, and ends in order."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recexp.__main__ import main
from recexp.commands.serve import _access
from recexp.streaming.store import EventStore


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int
    said: list[str]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        text = None if body is None else json.dumps(body)
        if text is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def environment(recorded: Any) -> dict[str, str]:
    return os.environ | {
        "MLFLOW_TRACKING_URI": recorded.uri,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "recexp", "serve", *arguments]


@contextlib.contextmanager
def serving(folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[Server]:
    process = subprocess.Popen(
        command(*arguments, "--port", "0"),
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    assert process.stderr is not None
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.match(r"recexp serves http://\S+:(\d+)$", line):
                break
        else:
            pytest.fail(f"it ended: {''.join(said)}")
        rest = process.stderr
        threading.Thread(target=lambda: said.extend(rest), daemon=True).start()
        yield Server(process, int(found[1]), said)
    finally:
        process.kill()
        process.wait()


def refused(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """What the command says that ends with code 2: one line."""
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert last.startswith("recexp: ")
    return last


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_and_ends_in_order(
    folder: Path, environment: dict[str, str], recorded: Any, number: int
) -> None:
    with serving(folder, environment, recorded.ids["small/ease"]) as server:
        status, models = server.ask("GET", "/models")
        assert status == 200
        assert models["models"][0]["name"] == "ease-synthetic-temporal"
        assert models["models"][0]["metrics"].keys() >= {"ndcg_at_10", "recall_at_10"}
        assert not any(
            "/" in name or name.endswith("ci_low") for name in models["models"][0]["metrics"]
        )
        assert server.stop(number) == 0
    # The store alone was written, in the output folder.
    assert {path.parts[len(folder.parts)] for path in folder.rglob("*")} == {"outputs"}
    stems = {path.name.partition(".")[0] for path in (folder / "outputs").iterdir()}
    assert stems == {f"events-{recorded.ids['small/ease'][:8]}"}


def test_what_was_acknowledged_survives_kill_9_in_a_storm_of_events(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    run = recorded.ids["small/ease"]
    acknowledged: list[dict[str, Any]] = []
    with serving(folder, environment, run) as server:
        _, users = server.ask("GET", "/users?limit=40")
        _, items = server.ask("GET", "/items?limit=60")
        ids = [one["user"] for one in users["users"]] + [f"new-{n}" for n in range(10)]
        if isinstance(ids[0], int):
            ids = ids[:40] + list(range(10**6, 10**6 + 10))
        catalogue = [one["item"] for one in items["items"]]

        def storm(thread: int) -> None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                for n in range(10**6):
                    events = [
                        {
                            "id": f"{thread}-{n}-{m}",
                            "user": ids[(thread + 7 * n + m) % 50],
                            "item": catalogue[(3 * n + m) % 60],
                            "kind": "like",
                        }
                        for m in range(1 + n % 3)
                    ]
                    status, _ = server.ask("POST", "/events", {"events": events})
                    if status == 201:
                        acknowledged.extend(events)

        threads = [threading.Thread(target=storm, args=(thread,)) for thread in range(4)]
        for one in threads:
            one.start()
        while len(acknowledged) < 300:
            time.sleep(0.01)
        server.stop(signal.SIGKILL)
        for one in threads:
            one.join()
    assert len(acknowledged) >= 300
    store = EventStore(f"sqlite:///{folder}/outputs/events-{run[:8]}.db")
    stored = {event.id: (event.user, event.item) for _, event in store.read()}
    for one in acknowledged:
        assert stored[one["id"]] == (one["user"], one["item"])
    with serving(folder, environment, run) as server:
        _, models = server.ask("GET", "/models")
        assert models["models"][0]["n_events"] == len(stored)
        for user in ids:
            met = {one["item"] for one in acknowledged if one["user"] == user}
            _, answer = server.ask("GET", f"/users/{user}/recommendations?k=500")
            assert answer["source"] == "fold_in"
            assert not met & {one["item"] for one in answer["items"]}
        # Whoever was not told sends again: nothing is there twice.
        again = {"events": acknowledged[:100]}
        _, receipt = server.ask("POST", "/events", again)
        assert (receipt["accepted"], receipt["duplicates"]) == (0, 100)
        assert server.stop() == 0


def test_requests_that_are_being_answered_end_before_the_server_does(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    with serving(folder, environment, recorded.ids["small/ease"]) as server:
        # The head is there, the body comes while the server is asked to end.
        body = json.dumps({"history": []}).encode()
        head = (
            b"POST /recommendations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body)
            connection.settimeout(10)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.process.wait(30) == 0


def test_two_runs_are_served_beside_each_other(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    ids = recorded.ids
    arguments = [ids["small/als"], "--beside", ids["small/popularity"], "--events"]
    url = f"sqlite:///{folder / 'mine.db'}"
    environment = environment | {"RECEXP_TOKEN": "sesame"}
    with serving(folder, environment, *arguments, url, "--quiet") as server:
        assert server.ask("GET", "/models")[0] == 401
        _, models = server.ask("GET", "/models", Authorization="Bearer sesame")
        assert [one["algorithm"] for one in models["models"]] == ["ALS", "Popularity"]
        # Another server is refused the store, in one line.
        told = refused(folder, environment, ids["small/als"], "--port", "0", "--events", url)
        assert "in use by another server" in told
        told = refused(folder, environment, ids["small/als"], "--port", str(server.port))
        assert "give another --port" in told
        assert server.stop() == 0
        assert "sesame" not in "".join(server.said)
    assert not (folder / "outputs").exists()


def test_serving_beyond_loopback_without_a_token_warns_loudly(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    run = recorded.ids["small/popularity"]
    with serving(folder, environment, run, "--host", "0.0.0.0", "--quiet") as server:
        said = "".join(server.said)
        assert said.count("WARNING: ") == 2
        assert "RECEXP_TOKEN" in said
        assert server.ask("GET", "/health", Host="evil.example")[0] == 400
        assert server.ask("GET", "/health", Host=f"192.168.7.7:{server.port}")[0] == 200
    with serving(folder, environment, run, "--host", "0.0.0.0", "--token", "sesame") as server:
        assert "WARNING" not in "".join(server.said)


def test_a_body_without_an_end_is_not_read_to_its_end(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    with serving(folder, environment, recorded.ids["small/popularity"]) as server:
        head = (
            b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head)
            connection.settimeout(10)
            sent = 0
            with contextlib.suppress(OSError):
                while sent < 20_000_000:
                    connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                    sent += 65_536
            answer = b""
            with contextlib.suppress(OSError):
                answer = connection.recv(100)
        assert answer.startswith(b"HTTP/1.1 413") or sent < 20_000_000
        assert server.ask("GET", "/health")[0] == 200


def test_a_head_without_an_end_is_not_kept(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    begin = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    chunked = b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = {
        "a path": (b"GET /", b"x" * 65_536),
        "a header": (begin + b"X: ", b"x" * 65_536),
        "headers": (begin, b"X: y\r\n" * 10_000),
        "trailers": (chunked + b"1\r\n{\r\n0\r\n", b"X: y\r\n" * 10_000),
    }
    with serving(folder, environment, recorded.ids["small/popularity"]) as server:
        for what, (head, more) in endless.items():
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(head)
                sent = 0
                with contextlib.suppress(OSError):
                    while sent < 50_000_000:
                        connection.sendall(more)
                        sent += len(more)
            assert sent < 50_000_000, what
        assert server.ask("GET", "/health", **{"X-Long": "x" * 30_000})[0] == 200


def test_what_cannot_be_served_is_told_in_one_line(
    folder: Path,
    recorded: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", recorded.uri)
    monkeypatch.chdir(folder)
    run = recorded.ids["small/ease"]
    for arguments, told in {
        ("nosuchrun",): "no run 'nosuchrun'",
        (run, "--policy", "incremental"): "EASE cannot; possible: fold_in, static",
        (run, "--refit-every", "often"): "expected such as 30m",
        (run, "--events", "sqlite:////no/such/events.db"): "cannot be opened",
        (run, "--events", "postgresql://me:secret@127.0.0.1:1/shop"): "cannot be opened",
        (run, "--events", "nonsense"): "no database URL",
        (run, "--beside", run): "that is the same run",
        (run, "--host", "256.0.0.1"): "no address of this machine",
        (run, "--rate", "-1"): "expected a number of events",
    }.items():
        assert main(["serve", *arguments, "--quiet", "--port", "0"]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert said.startswith("recexp: ")
        assert told in said
        assert "secret" not in said


@pytest.mark.parametrize("host", ["127.0.0.2", "Localhost", "0.0.0.0"])
def test_a_server_goes_by_the_name_it_was_given(host: str) -> None:
    access = _access(argparse.Namespace(host=host, allowed_host=["Shop.Example"]), None)
    for name in (host, "shop.example", "SHOP.example:8000", "localhost", "[::1]:8000"):
        assert access.host_allowed(name), name
    assert not access.host_allowed("evil.example")
    assert access.host_allowed("192.168.7.7") == (host == "0.0.0.0")


def test_a_run_without_a_model_and_one_that_was_tampered_with_are_refused(
    folder: Path, environment: dict[str, str], recorded: Any
) -> None:
    import shutil

    from recexp.tracking.records import RunReader
    from recexp.tracking.store import find_model

    _, model = find_model(recorded.ids["small/ease"], RunReader(recorded.uri))
    (folder / "run").mkdir()
    shutil.copytree(model, folder / "run" / "model")
    changed = folder / "run" / "model" / "data" / "ids.json"
    changed.write_text(changed.read_text().replace('"users"', '"users" '))
    told = refused(folder, environment, str(folder / "run"), "--port", "0")
    assert "was changed since the run wrote it" in told
    (folder / "run" / "model" / "data" / "manifest.json").unlink()
    assert "holds no recexp model" in refused(folder, environment, str(folder / "run"))
