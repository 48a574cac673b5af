"""Feedback is stored before it is acknowledged, once, and the next answer follows it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recexp.algorithms.base import Source
from recexp.algorithms.bpr import BPR
from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset
from recexp.errors import StorageError
from recexp.streaming.events import Event
from recexp.streaming.store import EventStore

Start = Callable[..., Any]


@pytest.fixture
def client(start: Start, shop: Dataset) -> Any:
    return start(shop, {"ease": EASE().fit(shop)})


def items(client: Any, user: Any, k: int = 50, **query: Any) -> list[Any]:
    answer = client.get(f"/users/{user}/recommendations", params={"k": k} | query)
    assert answer.status_code == 200, answer.text
    return [one["item"] for one in answer.json()["items"]]


def test_the_very_next_request_follows_an_event(client: Any) -> None:
    before = items(client, 101)
    for kind, value in (("view", None), ("like", None), ("rating", 4.5), ("dismiss", None)):
        best = items(client, 101)[0]
        body = {"user": 101, "item": best, "kind": kind} | ({"value": value} if value else {})
        answer = client.post("/events", json=body)
        assert answer.status_code == 201
        assert best not in items(client, 101)
    answer = client.get("/users/101/recommendations?k=46").json()
    assert answer["source"] == "fold_in"
    assert [one["item"] for one in answer["items"]] != before[4:]
    profile = client.get("/users/101/profile").json()
    assert (profile["n_interactions"], profile["n_events"]) == (4, 4)
    done = [(one["kind"], one["value"]) for one in profile["history"]]
    assert done[:4] == [("dismiss", None), ("rating", 4.5), ("like", None), ("view", None)]


def test_the_answer_is_that_of_the_whole_history(client: Any, shop: Dataset) -> None:
    """A user who liked what another has liked gets the same scores: EASE sees histories only."""
    positives = shop.positives()
    rows = positives.user_idx == 5
    liked = shop.items.to_ids(positives.item_idx[rows])
    events = [{"user": 999, "item": item, "kind": "like"} for item in liked]
    assert client.post("/events", json={"events": events}).json()["accepted"] == len(liked)
    known = client.get("/users/106/recommendations?k=50&exclude_seen=false").json()["items"]
    new = client.get("/users/999/recommendations?k=50&exclude_seen=false").json()["items"]
    assert [one["item"] for one in new] == [one["item"] for one in known]
    assert [one["score"] for one in new] == pytest.approx([one["score"] for one in known], rel=1e-4)


def test_new_users_and_items_are_taken_in(client: Any) -> None:
    body = [
        {"user": 5000, "item": 1001, "kind": "like"},
        {"user": 5000, "item": 77, "kind": "like"},
    ]
    assert client.post("/events", json={"events": body}).status_code == 201
    assert client.get("/users/5000/profile").json()["n_interactions"] == 2
    assert client.get("/users?search=5000").json()["users"] == [{"user": 5000, "n_interactions": 2}]
    assert client.get("/items?search=77").json()["items"] == [{"item": 77, "title": None}]
    model = client.get("/models").json()["models"][0]
    assert (model["n_users"], model["n_items"], model["n_events"]) == (81, 51, 2)
    assert client.get("/items/77/similar").status_code == 409  # so new that nothing is learned
    assert 77 not in items(client, 5000)
    answer = client.post("/recommendations", json={"history": [{"item": 77}]})
    assert answer.json()["source"] == "popularity"


def test_an_event_sent_again_is_a_duplicate(client: Any) -> None:
    body = {"id": "once", "user": 101, "item": 1010, "kind": "like"}
    first, second = (client.post("/events", json=body) for _ in range(2))
    assert first.json() == {"accepted": 1, "duplicates": 0, "ids": ["once"]}
    assert second.json() == {"accepted": 0, "duplicates": 1, "ids": ["once"]}
    assert second.status_code == 201
    assert client.get("/users/101/profile").json()["n_events"] == 1


def test_another_event_under_an_id_is_refused_and_nothing_is_taken(client: Any) -> None:
    client.post("/events", json={"id": "once", "user": 101, "item": 1010, "kind": "like"})
    other = {"id": "once", "user": 102, "item": 1010, "kind": "like"}
    fresh = {"user": 103, "item": 1010, "kind": "like"}
    answer = client.post("/events", json={"events": [fresh, other]})
    assert answer.status_code == 409
    assert "'once'" in answer.json()["detail"]
    assert client.get("/users/103/profile").json()["n_events"] == 0


def test_ids_are_made_where_there_are_none(client: Any) -> None:
    body = {"events": [{"user": 101, "item": 1010, "kind": "view"}] * 3}
    answer = client.post("/events", json=body).json()
    assert answer["accepted"] == 3
    assert len(set(answer["ids"])) == 3


def test_times_are_seconds_or_iso(client: Any) -> None:
    times = {
        "2026-01-31T12:00:00Z": "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00Z",
        "2026-01-31T12:00:00": "2026-01-31T12:00:00Z",
        1_769_860_800: "2026-01-31T12:00:00Z",
        0: "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
    }
    for user, (given, expected) in enumerate(times.items(), start=6000):
        body = {"user": user, "item": 1001, "kind": "view", "timestamp": given}
        assert client.post("/events", json=body).status_code == 201
        profile = client.get(f"/users/{user}/profile").json()
        assert profile["last"] == profile["history"][0]["time"] == expected


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"user": "101"}, "body.user"),
        ({"user": None}, "body.user"),
        ({"item": 2**63}, "body.item"),
        ({"item": 1.5}, "body.item"),
        ({"kind": "click"}, "body"),
        ({"kind": None}, "body"),
        ({"kind": "rating"}, "body.value"),
        ({"kind": "rating", "value": 5.5}, "body.value"),
        ({"kind": "rating", "value": "5"}, "body.value"),
        ({"value": 5}, "body.value"),
        ({"id": ""}, "body.id"),
        ({"id": "x" * 201}, "body.id"),
        ({"id": "a\nb"}, "body.id"),
        ({"id": 7}, "body.id"),
        ({"timestamp": "yesterday"}, "body.timestamp"),
        ({"timestamp": 10**15}, "body.timestamp"),
        ({"timestamp": True}, "body.timestamp"),
        ({"extra": 1}, "body.extra"),
    ],
)
def test_what_is_no_event_is_told_and_not_stored(
    client: Any, change: dict[str, Any], place: str
) -> None:
    good = {"user": 101, "item": 1001, "kind": "like"}
    for body, prefix in (
        (good | change, "body"),
        ({"events": [good, good | change]}, "body.events.1"),
    ):
        answer = client.post("/events", json=body)
        assert answer.status_code == 422, answer.text
        found = [one["location"] for one in answer.json()["errors"]]
        assert any(one.startswith(place.replace("body", prefix, 1)) for one in found), found
    assert client.get("/models").json()["models"][0]["n_events"] == 0


@pytest.mark.parametrize("body", [[], {}, {"events": []}, {"events": 7}, "x", 7])
def test_what_is_nothing_like_an_event_is_told(client: Any, body: Any) -> None:
    assert client.post("/events", json=body).status_code == 422


def test_not_more_than_1000_events_come_at_once(client: Any) -> None:
    one = {"user": 101, "item": 1001, "kind": "view"}
    assert client.post("/events", json={"events": [one] * 1001}).status_code == 422
    assert client.post("/events", json={"events": [one] * 1000}).json()["accepted"] == 1000


def test_a_restart_catches_up_with_the_store(start: Start, shop: Dataset, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    store = EventStore(url)
    from recexp.streaming.store import Arrival

    events = [Event(str(n), 7000 + n % 3, 1001 + n, "like", None, n) for n in range(45)]
    with store.writing():
        store.append([[Arrival(one) for one in events]])
    client = start(shop, {"ease": EASE().fit(shop)}, store=url)
    assert client.get("/models").json()["models"][0]["n_events"] == 45
    profile = client.get("/users/7001/profile").json()
    assert [one["item"] for one in profile["history"]] == [1001 + n for n in range(43, 0, -3)]
    assert client.get("/users/7001/recommendations").json()["source"] == "fold_in"


def test_a_store_of_other_data_is_refused(start: Start, shop: Dataset, tmp_path: Path) -> None:
    from recexp.streaming.store import Arrival

    url = f"sqlite:///{tmp_path / 'kept.db'}"
    store = EventStore(url)
    with store.writing():
        store.append([[Arrival(Event("a", "texts", 1001, "like", None, 0))]])
    failures: list[Exception | None] = []
    with pytest.raises(AssertionError, match="it is ready"):
        start(shop, {"ease": EASE().fit(shop)}, store=url, on_ready=failures.append, patience=1)
    assert "kept.db holds events of other data: number 1 has user: 'texts'" in str(failures[0])
    assert "give --events another store" in str(failures[0])


def test_a_store_that_fails_is_told_and_tried_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"id": "e", "user": 101, "item": 1010, "kind": "like"}

    def fails(*_: Any) -> None:
        raise StorageError("postgresql://me:***@host/shop did not take the events")

    with monkeypatch.context() as patch:
        patch.setattr(EventStore, "append", fails)
        answer = client.post("/events", json=body)
    assert answer.status_code == 503
    assert "send them again" in answer.json()["detail"]
    assert "postgresql" not in answer.text
    assert client.get("/users/101/profile").json()["n_events"] == 0
    assert client.post("/events", json=body).json()["accepted"] == 1


def test_events_of_many_clients_at_once_are_each_acknowledged_once(client: Any) -> None:
    """Two send each event; one of them is told that it is new."""
    results: list[dict[str, Any]] = []

    def send(first: int) -> None:
        for n in range(first, first + 20):
            body = {"id": str(n), "user": 200 + n % 50, "item": 1001 + n % 50, "kind": "view"}
            results.append(client.post("/events", json=body).json())

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 0, 20, 20, 10, 30)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(one["accepted"] for one in results) == 50
    assert sum(one["duplicates"] for one in results) == 70
    assert client.get("/models").json()["models"][0]["n_events"] == 50


def test_two_models_take_the_same_events(start: Start, shop: Dataset) -> None:
    models = {"ease": EASE().fit(shop), "als": ALS(n_factors=4, epochs=2).fit(shop)}
    client = start(shop, models)
    best = items(client, 101)[0]
    client.post("/events", json={"user": 101, "item": best, "kind": "like"})
    for name in models:
        assert best not in items(client, 101, model=name)


def test_a_model_that_cannot_follow_leaves_out_what_was_met(start: Start, shop: Dataset) -> None:
    client = start(shop, {"bpr": BPR(epochs=3).fit(shop)})
    before = items(client, 101)
    client.post("/events", json={"user": 101, "item": before[0], "kind": "like"})
    assert items(client, 101) == before[1:]
    assert client.served[0].live.recommend(101, 3).source is Source.MODEL


def test_what_is_popular_is_counted_live(start: Start, shop: Dataset) -> None:
    client = start(shop, {"popularity": Popularity().fit(shop)}, policy="static")
    rare = client.get("/items?limit=50").json()["items"][-1]["item"]
    events = [{"user": 8000 + n, "item": rare, "kind": "like"} for n in range(100)]
    client.post("/events", json={"events": events})
    answer = client.post("/recommendations", json={"history": [], "k": 1}).json()
    assert answer["items"][0]["item"] == rare
    assert client.get("/items?limit=1").json()["items"][0]["item"] == rare
