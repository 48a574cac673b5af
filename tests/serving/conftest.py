"""Data, some of it hostile, and applications that serve it: over HTTP, or to a test client."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from recexp.algorithms.base import Recommender
from recexp.algorithms.neighbors import ItemKNN
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.fitted import FittedModel

HOSTILE = {
    "long": "L" * 200,
    "unicode": "日本語 🎬 \u202eabc é",
    "sql": "Robert'); DROP TABLE recexp_events;--",
    "script": "<script>window.hacked=1</script>",
    "image": '<img src=x onerror="window.hacked=1">',
    "parts": "../../etc/passwd",
    "spaces": "a b  c",
    "escaped": "%2F",
    "address": "x/y?z#w&user=u000",
    "template": "{{7*7}}${7*7}`'\"\\",
}
HOSTILE_FILMS = {
    "script": "<script>window.hacked=1</script>",
    "onerror": '<img src=x onerror="window.hacked=1">',
    "drop": "'); DROP TABLE items;--",
    "passwd": "../../etc/passwd",
    "%2f": "%2F",
    "مرحبا": "\u202eمرحبا",
}


@dataclass(frozen=True)
class Films:
    """Comedies and war films; of two users in turn, one likes these and one those.

    Some users, and the films of the genre `Odd`, have ids and titles that would do harm where they
    are taken for anything but text.
    """

    dataset: Dataset
    endless: str = "E" * 1000
    """The id of a user, longer than an event may have"""

    def n_interactions(self, user: str) -> int:
        at = int(self.dataset.users.to_idx([user])[0])
        return int(self.dataset.interactions.user_counts()[at])


def make_films() -> Films:
    rng = np.random.default_rng(7)
    users = [f"u{i:03}" for i in range(60)] + list(HOSTILE.values()) + [Films.endless]
    films = {f"{genre[0].lower()}{i:02}": genre for genre in ("Comedy", "War") for i in range(30)}
    odd = {f"{title}/.." for title in HOSTILE_FILMS.values()}
    rows = []
    for i, user in enumerate(users):
        own = ("Comedy", "War")[i % 2]
        liked = [one for one, genre in films.items() if genre == own]
        others = [one for one, genre in films.items() if genre != own]
        some = [(one, 4 + rng.integers(2)) for one in rng.permutation(liked)[:15]]
        some += [(one, 1 + rng.integers(2)) for one in rng.permutation(others)[:6]]
        some += [(one, 5) for one in sorted(odd) if 50 <= i < 60]
        rows += [(user, one, value, 900_000_000 + 60 * len(rows)) for one, value in some]
    ids, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    data = Dataset.from_columns("films", ids, items, values, times, scale=(1.0, 5.0))
    titles = {f"{title}/..": f"{title} (1999)" for title in HOSTILE_FILMS.values()}
    titles |= {one: f"{genre} {one[1:]} ({1970 + int(one[1:])})" for one, genre in films.items()}
    columns = {
        "title": tuple(titles[one] for one in data.items.ids),
        "genres": tuple(films.get(one, "Odd") for one in data.items.ids),
        "year": tuple(titles[one][-5:-1] for one in data.items.ids),
    }
    return Films(replace(data, item_columns=columns))


@pytest.fixture(scope="session")
def films() -> Films:
    return make_films()


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hostile_films() -> dict[str, str]:
    """Titles, by a word of theirs to search for."""
    return HOSTILE_FILMS


Serve: TypeAlias = Callable[..., str]
"""(recommenders fitted to the data by their names, data, token) -> the address they are at"""


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves fitted recommenders as long as the tests run."""
    with contextlib.ExitStack() as servers:

        def start(
            recommenders: dict[str, Recommender], data: Dataset, token: str | None = None
        ) -> str:
            folder = tmp_path_factory.mktemp("served")
            return servers.enter_context(_serving(recommenders, data, folder, token))

        yield start


@contextlib.contextmanager
def _serving(
    recommenders: dict[str, Recommender], data: Dataset, folder: Path, token: str | None
) -> Iterator[str]:
    import uvicorn

    from recexp.serving.app import application
    from recexp.serving.security import Access
    from recexp.serving.served import Run, Served
    from recexp.streaming.store import EventStore

    models = [
        Served(Run(f"{i:032x}", name, folder, {"ndcg_at_10": 0.25}), FittedModel(one, data))
        for i, (name, one) in enumerate(recommenders.items())
    ]
    store = EventStore(f"sqlite:///{folder / 'events.db'}")
    app = application(models, store, access=Access(token))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with store.writing():
            server.run(sockets=[listening])

    thread = threading.Thread(target=run)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        asked = urllib.request.Request(f"{url}/ready", headers={"Authorization": f"Bearer {token}"})
        _until(lambda: server.started and _answers(asked), "the server is ready")
        yield url
    finally:
        server.should_exit = True
        thread.join()


def _answers(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _until(condition: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def fitted_films(films: Films) -> dict[str, Recommender]:
    return {
        "neighbors": ItemKNN(threads=1).fit(films.dataset),
        "popular": Popularity().fit(films.dataset),
    }


@pytest.fixture(scope="session")
def films_url(films: Films, fitted_films: dict[str, Recommender], serve: Serve) -> str:
    return serve(fitted_films, films.dataset)


@pytest.fixture(scope="session")
def locked_url(films: Films, fitted_films: dict[str, Recommender], serve: Serve) -> str:
    """The same behind the token `sesame`."""
    return serve(fitted_films, films.dataset, "sesame")


@pytest.fixture(scope="session")
def movielens_url(movielens: Dataset, serve: Serve) -> str:
    return serve({"itemknn": ItemKNN(threads=1).fit(movielens)}, movielens)


# -- the application by itself


@pytest.fixture(scope="session")
def shop() -> Dataset:
    """80 users x 50 items with whole numbers as ids, ratings 1-5, times, titles, genres, years.

    Users from 101, items from 1001; user 101 has rated 1001 with 5 and 1002 with 2, nothing else.
    """
    rng = np.random.default_rng(5)
    users, items = np.nonzero(rng.random((80, 50)) < np.linspace(0.7, 0.1, 50))
    kept = users > 0
    users = np.append(users[kept], [0, 0]) + 101
    items = np.append(items[kept], [0, 1]) + 1001
    values = np.append(rng.integers(1, 6, len(users) - 2), [5, 2]).astype(np.float32)
    times = np.append(rng.integers(8e8, 9e8, len(users) - 2), [851_860_800, 851_947_200])
    data = Dataset.from_columns("shop", users, items, values, times, scale=(1.0, 5.0))
    genres = [("Comedy", "Comedy|Drama", "Horror|Drama", "")[at % 4] for at in range(50)]
    columns = {
        "title": tuple(f"Film {at:02}" for at in range(50)),
        "genres": tuple(genres),
        "year": tuple(str(1960 + at) for at in range(50)),
    }
    return replace(data, item_columns=columns)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts an application over fitted recommenders by name; returns a client of it.

    Options are those of `application`, and of `Served`; `store` is an address.
    """
    with _starting(tmp_path) as starting:
        yield starting


@pytest.fixture(scope="module")
def start_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """The same for applications that a whole module asks."""
    with _starting(tmp_path_factory.mktemp("serving")) as starting:
        yield starting


@contextlib.contextmanager
def _starting(folder_of_events: Path) -> Iterator[Callable[..., Any]]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # starlette would rather have httpx2
        from starlette.testclient import TestClient

    from recexp.serving.app import application
    from recexp.serving.served import Run, Served
    from recexp.streaming.store import EventStore

    count = itertools.count()
    with contextlib.ExitStack() as open_:

        def starting(
            data: Dataset,
            recommenders: dict[str, Recommender],
            *,
            store: str | None = None,
            policy: str = "auto",
            refit_every: Any = None,
            folder: Path | None = None,
            patience: float = 10,
            **options: Any,
        ) -> Any:
            served = [
                Served(
                    Run(f"{at:032x}", name, folder or folder_of_events, {"ndcg_at_10": 0.25}),
                    FittedModel(one, data),
                    policy=policy,
                    refit_every=refit_every,
                )
                for at, (name, one) in enumerate(recommenders.items())
            ]
            events = EventStore(
                store or f"sqlite:///{folder_of_events / f'events-{next(count)}.db'}"
            )
            open_.enter_context(events.writing())
            app = application(served, events, **options)
            client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
            open_.enter_context(client)
            token = getattr(options.get("access"), "token", None)
            headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
            ready = lambda: client.get("/ready", headers=headers).status_code == 200  # noqa: E731
            _until(ready, "it is ready", patience)
            client.served = served  # type: ignore[attr-defined]
            return client

        yield starting
