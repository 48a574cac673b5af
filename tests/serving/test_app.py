"""The API answers as the model does, and says what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.popularity import Popularity
from recexp.data.dataset import Dataset

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def client(start_once: Start, shop: Dataset) -> Any:
    als = ALS(n_factors=8, epochs=4, seed=3).fit(shop)
    return start_once(shop, {"als": als, "popular": Popularity().fit(shop)})


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem that an answer is, checked for its form (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"] == "about:blank"
    assert found["title"]
    assert found["detail"]
    assert "\n" not in found["detail"]
    return found


def test_lists_are_those_of_the_fitted_model(client: Any, shop: Dataset) -> None:
    model = client.served[0].live.model
    for user in shop.users.ids[:10]:
        answer = client.get(f"/users/{user}/recommendations", params={"k": 7}).json()
        whole = model.lists([user], 7)
        assert answer["user"] == user
        assert answer["model"] == "als"
        assert answer["source"] == "model"
        assert [one["item"] for one in answer["items"]] == shop.items.to_ids(whole.items[0])
        assert [one["rank"] for one in answer["items"]] == list(range(1, 8))
        scores = [one["score"] for one in answer["items"]]
        np.testing.assert_allclose(scores, whole.scores[0], rtol=1e-4)
        for one, item in zip(answer["items"], whole.items[0].tolist(), strict=True):
            assert one["title"] == shop.item_columns["title"][item]
            assert one["columns"].get("genres", "") == shop.item_columns["genres"][item]
            expected = model.reasons(user, item, "model")
            assert [why["text"] for why in one["reasons"]] == [why["text"] for why in expected]
            assert [why["item"] for why in one["reasons"]] == [why["item"] for why in expected]


def test_seen_items_stay_out_unless_asked_for(client: Any, shop: Dataset) -> None:
    seen = {1001, 1002}
    url = "/users/101/recommendations?k=50"
    assert not seen & {one["item"] for one in client.get(url).json()["items"]}
    whole = client.get(f"{url}&exclude_seen=false").json()["items"]
    assert {one["item"] for one in whole} == set(shop.items.ids)


def test_a_history_is_folded_in(client: Any) -> None:
    body = {"history": [{"item": 1003, "value": 5}, {"item": 1010}], "k": 3}
    answer = client.post("/recommendations", json=body).json()
    assert answer["user"] is None
    assert answer["source"] == "fold_in"
    live = client.served[0].live
    expected = live.recommend_to([1003, 1010], [5.0, 5.0], 3)
    assert [one["item"] for one in answer["items"]] == live.histories.items.to_ids(expected.items)
    of_history = {why["item"] for one in answer["items"] for why in one["reasons"]}
    assert of_history <= {1003, 1010}
    assert of_history


def test_whoever_nothing_is_known_of_gets_what_is_popular(client: Any, shop: Dataset) -> None:
    answer = client.post("/recommendations", json={"history": [], "k": 5}).json()
    assert answer["source"] == "popularity"
    liked = shop.positives().item_counts()
    assert [one["reasons"][0]["users"] for one in answer["items"]] == sorted(liked)[::-1][:5]
    assert answer["items"][0]["reasons"][0]["text"] == f"chosen by {liked.max()} users"
    # A disliked history says nothing either, to an algorithm that learns from what was liked.
    body = {"history": [{"item": 1003, "value": 1}], "k": 5, "reasons": False}
    answer = client.post("/recommendations", json=body).json()
    assert answer["source"] == "popularity"
    assert all(one["reasons"] == [] for one in answer["items"])


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (["genres:Comedy"], lambda at: at % 4 in (0, 1)),
        (["genres:comedy", "genres: DRAMA"], lambda at: at % 4 == 1),
        (["!genres:Drama"], lambda at: at % 4 in (0, 3)),
        (["year>=2000"], lambda at: at >= 40),
        (["year>2000", "year<2003.5"], lambda at: 40 < at < 44),
        (["!year=1960"], lambda at: at > 0),
        (["genres:Com"], lambda at: False),
        (["title:film 07"], lambda at: at == 7),
    ],
)
def test_filters_choose_items(client: Any, filters: list[str], passes: Any) -> None:
    expected = {1001 + at for at in range(50) if passes(at)}
    query = {"k": 50, "filter": filters, "exclude_seen": "false"}
    answer = client.get("/users/105/recommendations", params=query).json()
    assert {one["item"] for one in answer["items"]} == expected
    body = {"history": [{"item": 1050}], "k": 50, "filter": filters, "exclude_seen": False}
    answer = client.post("/recommendations", json=body).json()
    assert {one["item"] for one in answer["items"]} == expected


def test_similar_items_are_those_of_the_model(client: Any, shop: Dataset) -> None:
    answer = client.get("/items/1004/similar?k=6").json()
    expected = client.served[0].live.model.similar([1004], 6)
    assert [one["item"] for one in answer["items"]] == expected["similar"].tolist()
    assert answer["title"] == "Film 03"


def test_a_profile_is_what_the_user_did(client: Any) -> None:
    """By hand: 1001 (Comedy) rated 5 on 1996-12-29, 1002 (Comedy, Drama) rated 2 a day later."""
    assert client.get("/users/101/profile").json() == {
        "user": 101,
        "n_interactions": 2,
        "n_events": 0,
        "mean_value": 3.5,
        "first": "1996-12-29T12:00:00Z",
        "last": "1996-12-30T12:00:00Z",
        "tastes": [
            {"column": "genres", "value": "Comedy", "n": 2, "share": 0.75, "mean_value": 4.0},
            {"column": "genres", "value": "Drama", "n": 1, "share": 0.25, "mean_value": 2.0},
        ],
        "history": [
            {
                "item": 1002,
                "title": "Film 01",
                "value": 2.0,
                "kind": "training",
                "time": "1996-12-30T12:00:00Z",
            },
            {
                "item": 1001,
                "title": "Film 00",
                "value": 5.0,
                "kind": "training",
                "time": "1996-12-29T12:00:00Z",
            },
        ],
    }


def test_users_are_found_by_the_beginning_of_their_id_then_by_a_part(client: Any) -> None:
    found = client.get("/users", params={"search": "11", "limit": 30}).json()
    assert found["n_users"] == 80
    ids = [one["user"] for one in found["users"]]
    assert ids == [*range(110, 120), 111][:10]
    ids = [one["user"] for one in client.get("/users?search=8&limit=50").json()["users"]]
    assert ids == [108, 118, 128, 138, 148, 158, 168, 178, 180]
    assert client.get("/users?search=101").json()["users"] == [{"user": 101, "n_interactions": 2}]
    assert len(client.get("/users").json()["users"]) == 20


def test_items_are_found_by_title_or_id_the_most_popular_first(client: Any, shop: Dataset) -> None:
    popular = shop.positives().item_counts()
    for search, expected in {"FILM 0": range(10), "104": range(39, 49), "": range(50)}.items():
        found = client.get("/items", params={"search": search, "limit": 50}).json()["items"]
        assert {one["item"] for one in found} == {1001 + at for at in expected}
        counts = [popular[one["item"] - 1001] for one in found]
        assert counts == sorted(counts, reverse=True)
    assert client.get("/items?search=film+09").json()["items"] == [
        {"item": 1010, "title": "Film 09"}
    ]


def test_models_say_what_they_are_and_each_can_be_asked(client: Any) -> None:
    als, popular = client.get("/models").json()["models"]
    assert (als["name"], als["algorithm"], als["policy"]) == ("als", "ALS", "fold_in")
    assert (popular["policy"], popular["similar_items"]) == ("incremental", False)
    assert als["n_users"] == 80
    assert als["kinds"] == ["view", "like", "rating", "dismiss"]
    assert als["filters"]["genres"] == ["Comedy", "Drama", "Horror"]
    assert als["filters"]["year"] == "number"
    assert als["metrics"] == {"ndcg_at_10": 0.25}
    for name in ("popular", popular["run_id"], popular["run_id"][:8]):
        asked = client.get("/users/101/recommendations", params={"model": name}).json()
        assert asked["model"] in ("als", "popular")
    asked = client.get("/users/101/recommendations?model=popular").json()
    assert asked["model"] == "popular"
    assert problem(client.get("/users/101/recommendations?model=populr"), 404)["detail"] == (
        "no model 'populr' is served; did you mean 'popular'?"
    )


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/users/7/recommendations", 404, "no user '7' is known; send a history"),
        ("/users/abc/profile", 404, "no user 'abc'"),
        (f"/users/{'9' * 1500}/profile", 404, "no user '999"),
        (f"/users/{'9' * 2500}/profile", 422, "at most 2,000"),
        ("/users/%ff/profile", 404, "no user '%ff'"),
        ("/items/101/similar", 404, "no item '101'"),
        ("/items/1001/similar?model=popular", 409, "Popularity does not compare items"),
        ("/users/101/recommendations?k=-1", 422, "query.k: input should be greater"),
        ("/users/101/recommendations?k=501", 422, "less than or equal to 500"),
        ("/users/101/recommendations?k=ten", 422, "query.k"),
        ("/users/101/recommendations?K=10", 422, "query.K: not known here"),
        ("/users/101/recommendations?filter=genre:x", 422, "did you mean 'genres'?"),
        ("/users/101/recommendations?filter=genres", 422, "expected such as genres:Comedy"),
        ("/users/101/recommendations?filter=year>=old", 422, "'old' is no number"),
        ("/users/101/recommendations?" + "filter=year>1&" * 11, 422, "at most 10 items"),
        ("/users?limit=0", 422, "query.limit"),
        ("/users/101", 404, "there is no /users/101 here"),
        ("/users/101/profile/", 404, "there is no"),
        ("/nowhere", 404, "there is no /nowhere here; see /docs"),
    ],
)
def test_what_cannot_be_answered_is_told(client: Any, path: str, status: int, told: str) -> None:
    assert told in problem(client.get(path), status)["detail"]


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ("{", 422, "body"),
        ("", 422, "body"),
        ("[" * 100_000, 422, "body"),
        ('{"history": []', 422, "body"),
        ('{"history": "x"}', 422, "body.history"),
        ('{"history": [{"item": "1001"}]}', 422, "body.history.0.item"),
        ('{"history": [{"item": 1001.5}]}', 422, "body.history.0.item"),
        ('{"history": [{"item": true}]}', 422, "body.history.0.item"),
        ('{"history": [{"item": 1001, "value": 6}]}', 422, "body.history.0.value"),
        ('{"history": [{"item": 1001, "value": NaN}]}', 422, "body.history.0.value"),
        ('{"history": [{"item": 1001, "rating": 5}]}', 422, "body.history.0.rating"),
        ('{"history": [], "k": 0}', 422, "body.k"),
        ('{"history": [], "k": "5"}', 422, "body.k"),
        ("{}", 422, "body.history"),
        ('{"history": [{"item": 1001}, {"item": 7}]}', 404, "body.history.1.item"),
        (f'{{"history": [{",".join(["{}"] * 1001)}]}}', 422, "body.history"),
        ('{"history": [], "n": "' + "\\ud800" + '"}', 422, "body"),
    ],
)
def test_a_body_that_is_wrong_is_told_where(
    client: Any, body: str, status: int, place: str
) -> None:
    headers = {"Content-Type": "application/json"}
    found = problem(client.post("/recommendations", content=body, headers=headers), status)
    assert found["errors"][0]["location"] == place


def test_methods_that_a_path_does_not_take_are_told(client: Any) -> None:
    answer = client.delete("/models")
    assert "does not take DELETE" in problem(answer, 405)["detail"]
    assert answer.headers["allow"] == "GET"
    assert problem(client.get("/events"), 405)


def test_an_error_of_the_server_leaks_nothing_and_is_logged(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(client.served[0].live, "recommend", fails)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/users/101/recommendations")
    assert "secret" not in answer.text
    assert "Error" not in problem(answer, 500)["detail"]
    assert "secret detail" in caplog.text
    assert client.get("/health").status_code == 200


def test_an_algorithm_without_reasons_gives_none(start: Start, shop: Dataset) -> None:
    from recexp.algorithms.random import Random

    client = start(shop, {"random": Random().fit(shop)})
    answer = client.get("/users/105/recommendations").json()
    assert all(one["reasons"] == [] for one in answer["items"])


def test_ids_that_are_texts_stay_texts(start: Start) -> None:
    ids = ["007", "7", "a/b", "é ü", "..%2F", "x?y#z"]
    users = np.array([one for one in ids for _ in range(2)])
    items = np.array([f"i{at % 5}/" for at in range(12)])
    data = Dataset.from_columns("texts", users, items)
    client = start(data, {"ease": EASE().fit(data)})
    from urllib.parse import quote

    for one in ids:
        answer = client.get(f"/users/{quote(one, safe='')}/recommendations?k=2").json()
        assert answer["user"] == one
        assert answer["source"] == "model"
    assert problem(client.get("/users/07/profile"), 404)
    assert client.get("/items/i0%2F/similar").json()["item"] == "i0/"
    model = client.get("/models").json()["models"][0]
    assert (model["scale"], model["kinds"]) == (None, ["view", "like", "dismiss"])
    profile = client.get("/users/007/profile").json()
    assert profile["mean_value"] is None
    assert profile["first"] is None
    assert profile["tastes"] == []


def test_prometheus_can_read_the_metrics(start: Start, shop: Dataset) -> None:
    client = start(shop, {"als": ALS(n_factors=8, epochs=4).fit(shop)})
    client.get("/users/101/recommendations")
    client.get("/users/7/recommendations")
    client.get("/nowhere")
    text = client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (one.name, *sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(text.text)
        for one in family.samples
    }
    route = ("route", "/users/{user}/recommendations")
    for status in ("200", "404"):
        labels = (("method", "GET"), route, ("status", status))
        assert samples["recexp_requests_total", *labels] == 1
    assert samples["recexp_request_seconds_count", route] == 2
    other = (("method", "GET"), ("route", "other"), ("status", "404"))
    assert samples["recexp_requests_total", *other] == 1
    assert samples["recexp_model_version", ("model", "als")] == 1
    assert samples["process_resident_memory_bytes",] > 1e7


def test_errors_are_described_as_problems(client: Any) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    described = paths["/users/{user}/recommendations"]["get"]["responses"]
    assert described.keys() == {"200", "400", "404", "422", "503"}
    assert all("application/problem+json" in described[one]["content"] for one in ("404", "422"))
    assert {"409", "413", "415", "429"} <= paths["/events"]["post"]["responses"].keys()


def test_the_documentation_is_one_page_that_needs_nothing_else(client: Any) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in answer.text
    assert "<script" not in answer.text
    assert "//" not in answer.text.replace("<!DOCTYPE", "")
