"""What `recexp serve` promises, with an installed recexp: feedback survives, and becomes data."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

RECEXP = [sys.executable, "-m", "recexp"]


def main() -> None:
    made = subprocess.run(
        [*RECEXP, "run", "-q", "--format", "json", "algo=als", "dataset=movielens", "plots=false"],
        stdout=subprocess.PIPE,
        check=True,
    )
    run = json.loads(made.stdout)["run_id"]
    with serving(run) as (url, server):
        before = asked(f"{url}/users/196/recommendations")["items"][0]["item"]
        asked(f"{url}/events", {"user": 196, "item": before, "kind": "like"})
        server.kill()
    with serving(run, "--refit-every", "1") as (url, server):
        after = asked(f"{url}/users/196/recommendations")
        assert after["source"] == "fold_in", after
        assert before not in [one["item"] for one in after["items"]]
        with urllib.request.urlopen(f"{url}/") as page:
            assert b"<!DOCTYPE html>" in page.read()
        server.terminate()
        assert server.wait(30) == 0
    export = ["data", "export-events", f"outputs/events-{run[:8]}.db", "--with-training", run]
    subprocess.run([*RECEXP, *export, "--output", "more.parquet"], check=True)
    again = ["run", "-q", "algo=popularity", "dataset=parquet", "dataset.path=more.parquet"]
    subprocess.run([*RECEXP, *again, "plots=false"], check=True)


@contextlib.contextmanager
def serving(run: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [*RECEXP, "serve", run, "--port", "0", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if line.startswith("recexp serves"):
            break
    else:
        raise SystemExit("".join(said))
    try:
        yield line.split()[-1], server
    finally:
        server.kill()
        server.wait()


def asked(url: str, body: object = None) -> Any:
    headers = {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
