"""How fast `recexp serve` answers, on loopback, one worker.

    python benchmarks/serving.py [--part latency saturation event refit memory]
        [--users 50000] [--items 26744] [--factors 64] [--seconds 20]

Makes a model of the size of MovieLens-20M's catalogue (ALS with random factors: its answers cost
what a fitted one's cost), serves it as a user would, and asks:

    latency     200 requests a second, sent when they are due whether or not earlier ones came
                back, so that a stall counts for all who would have waited: p50 and p99; before
                them as many for /health, which shows what this client itself takes
    saturation  as many as it can, by wrk (from your package manager), 8 connections
    event       from sending a like to the first list that shows it, one after the other
    refit       p99 at 200 requests a second while a child process fits the model anew, and before
    memory      resident memory after the first 10,000 and after --requests requests (100,000)

Users are drawn at random, so hardly any is asked for twice; every list has 10 items with titles,
and reasons unless --no-reasons.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import http.client
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from recexp import artifact
from recexp.algorithms.implicit import ALS
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.fitted import FittedModel

T = TypeVar("T")

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PARTS = ("latency", "saturation", "event", "refit", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=26_744)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--no-reasons", dest="reasons", action="store_false")
    arguments = parser.parse_args()
    gc.disable()  # this process's pauses are not the server's
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "run" / "model", arguments.users, arguments.items, arguments.factors)
        query = "k=10" if arguments.reasons else "k=10&reasons=false"
        for part in arguments.part:
            options = ("--refit-every", "20") if part == "refit" else ()
            store = f"sqlite:///{folder / part}.db"
            with serving(folder / "run", store, *options) as (port, process):
                load = Load(port, arguments.users, query)
                warm(load)
                {
                    "latency": latency,
                    "saturation": saturation,
                    "event": event,
                    "refit": refit,
                    "memory": memory,
                }[part](load, process, arguments)


# -- the model and the server


def save_model(folder: Path, n_users: int, n_items: int, n_factors: int) -> None:
    """Write a model folder of these sizes, about 40 clicks a user, popular items first."""
    rng = np.random.default_rng(1)
    counts = 5 + rng.geometric(1 / 35, n_users)
    users = np.repeat(np.arange(n_users), counts)
    items = (n_items * rng.random(len(users)) ** 3).astype(np.int64)
    pairs = np.unique(users * n_items + items)
    train = Dataset.from_indices(
        "made-up",
        IdMap(range(n_users)),
        pairs // n_items,
        IdMap(range(n_items)),
        pairs % n_items,
    )
    train = Dataset(
        train.name,
        train.interactions,
        train.users,
        train.items,
        item_columns={
            "title": tuple(f"Item number {item}" for item in range(n_items)),
            "genres": tuple(f"Genre {item % 19}|Genre {item % 7}" for item in range(n_items)),
        },
    )
    model = ALS(n_factors=n_factors, epochs=1).fit(train)
    model.user_factors_ = rng.normal(size=(n_users, n_factors)).astype(np.float32)
    model.item_factors_ = rng.normal(size=(n_items, n_factors)).astype(np.float32)
    artifact.save(FittedModel(model, train), folder)


@contextlib.contextmanager
def serving(run: Path, store: str, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Serve a run; within, its port and process."""
    command = [sys.executable, "-m", "recexp", "serve", str(run), "--port", "0", "--events", store]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("recexp serves"):
            break
    else:
        raise SystemExit("".join(said))
    try:
        yield int(line.rsplit(":", 1)[1]), process
    finally:
        process.terminate()
        process.wait(30)


class Load:
    """Requests for the lists of random users."""

    def __init__(self, port: int, n_users: int, query: str) -> None:
        self.port, self.n_users, self.query = port, n_users, query
        self._random = random.Random(7)

    def path(self) -> str:
        return f"/users/{self._random.randrange(self.n_users)}/recommendations?{self.query}"

    async def at_rate(self, rate: float, seconds: float, path: str = "") -> list[float]:
        """Ask for lists, or `path`, `rate` times a second; return milliseconds from when due."""
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(32):
            free.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))
        taken: list[float] = []

        async def ask(due: float) -> None:
            reader, writer = await free.get()
            writer.write(f"GET {path or self.path()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.decode())
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            taken.append(1000 * (time.perf_counter() - due))
            free.put_nowait((reader, writer))

        start = time.perf_counter()
        asked = []
        for i in range(int(rate * seconds)):
            due = start + i / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            asked.append(asyncio.create_task(ask(due)))
        await asyncio.gather(*asked)
        while not free.empty():
            free.get_nowait()[1].close()
        return taken


def warm(load: Load) -> None:
    run(load.at_rate(100, 3))


# -- the parts


def latency(load: Load, _: subprocess.Popen[str], arguments: argparse.Namespace) -> None:
    nothing = run(load.at_rate(arguments.rate, 5, "/health"))
    taken = run(load.at_rate(arguments.rate, arguments.seconds))
    print(f"/health, for the rest  {shown(nothing)}   (this client, the network, the framework)")
    print(f"{arguments.rate:g} requests a second   {shown(taken)}   (goals: p50 < 3, p99 < 15)")


def saturation(load: Load, _: subprocess.Popen[str], arguments: argparse.Namespace) -> None:
    if shutil.which("wrk") is None:
        print("saturation             skipped: no wrk here; install it (apt install wrk)")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"math.randomseed(7)\nrequest = function()\n  return wrk.format('GET', '/users/' .. "
            f"math.random(0, {load.n_users - 1}) .. '/recommendations?{load.query}')\nend\n"
        )
        script.flush()
        wrk = ["wrk", "-t1", "-c8", f"-d{arguments.seconds:g}s", "-s", script.name]
        found = subprocess.run(
            [*wrk, f"http://127.0.0.1:{load.port}"], capture_output=True, text=True, check=True
        ).stdout
    per_second = float(found.partition("Requests/sec:")[2].split()[0])
    failed = "Non-2xx" in found or "Socket errors" in found
    told = "  SOME FAILED\n" + found if failed else ""
    print(f"at saturation          {per_second:,.0f} requests a second (goal: 800){told}")


def event(load: Load, _: subprocess.Popen[str], arguments: argparse.Namespace) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", load.port)
    taken = []
    for user in range(300):
        before = ask(connection, "GET", f"/users/{user}/recommendations?{load.query}")
        liked = before["items"][0]["item"]
        start = time.perf_counter()
        ask(connection, "POST", "/events", {"user": user, "item": liked, "kind": "like"})
        after = ask(connection, "GET", f"/users/{user}/recommendations?{load.query}")
        taken.append(1000 * (time.perf_counter() - start))
        if after["source"] != "fold_in" or liked in [one["item"] for one in after["items"]]:
            raise SystemExit(f"the list of user {user} does not show the event")
    print(f"event to changed list  {shown(taken)}   (goal: < 20)")


def refit(load: Load, _: subprocess.Popen[str], arguments: argparse.Namespace) -> None:
    alone = run(load.at_rate(arguments.rate, arguments.seconds))
    connection = http.client.HTTPConnection("127.0.0.1", load.port)
    for user in range(20):
        ask(connection, "POST", "/events", {"user": user, "item": user, "kind": "like"})
    beside: list[float] = []
    while version(connection) == 1:
        beside += run(load.at_rate(arguments.rate, 0.5))
    ratio = percentile(beside, 99) / percentile(alone, 99)
    print(f"before the refit       {shown(alone)}")
    print(f"while it goes on       {shown(beside)}   p99 times {ratio:.2f} (goal: < 3)")


def memory(load: Load, process: subprocess.Popen[str], arguments: argparse.Namespace) -> None:
    first = min(10_000, arguments.requests // 2)
    hammer(load, first)
    early = resident_mb(process.pid)
    hammer(load, arguments.requests - first)
    late = resident_mb(process.pid)
    print(
        f"resident memory        {early:.0f} MB after {first:,} requests, "
        f"{late:.0f} MB after {arguments.requests:,}"
    )


# -- odds


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work on the fastest loop there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def hammer(load: Load, n: int) -> None:
    """Send `n` requests over 8 connections, each as soon as the one before is answered."""

    async def worker(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        for _ in range(count):
            writer.write(f"GET {load.path()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(worker(n // 8) for _ in range(8)))

    run(all_of_them())


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None
) -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(text.decode())
    return json.loads(text)


def version(connection: http.client.HTTPConnection) -> int:
    return int(ask(connection, "GET", "/models")["models"][0]["version"])


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def percentile(taken: list[float], share: int) -> float:
    return statistics.quantiles(taken, n=100, method="inclusive")[share - 1]


def shown(taken: list[float]) -> str:
    p50, p99 = percentile(taken, 50), percentile(taken, 99)
    return f"p50 {p50:.2f} ms   p99 {p99:.2f} ms   max {max(taken):.2f} ms"


if __name__ == "__main__":
    main()
