"""Models learn beside the requests, and what they learned is taken up whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.ease import EASE
from recexp.algorithms.implicit import ALS
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.slim import SLIM
from recexp.artifact import save
from recexp.data.dataset import Dataset
from recexp.fitted import FittedModel
from recexp.serving.policies import RefitEvery
from recexp.streaming.live import LiveModel
from recexp.streaming.refit import Refit

Start = Callable[..., Any]


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def model_of(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/models").json()["models"][0]
    return found


def test_an_incremental_model_learns_what_comes(start: Start, shop: Dataset) -> None:
    """Popularity learns exactly what it would have from all of it at once."""
    client = start(shop, {"popularity": Popularity().fit(shop)})
    assert model_of(client)["policy"] == "incremental"
    events = [{"user": 9000 + n % 7, "item": 1001 + n % 60, "kind": "like"} for n in range(300)]
    for n in range(0, 300, 50):
        assert client.post("/events", json={"events": events[n : n + 50]}).status_code == 201
    until(lambda: model_of(client)["n_learned"] == 300, "all is learned")
    found = model_of(client)
    assert found["version"] > 1
    assert found["n_failed"] == 0
    live = client.served[0].live
    assert live.learned.n_users == 87
    assert live.learned.n_items == 60
    expected = Popularity().fit(live.histories.whole())
    np.testing.assert_array_equal(live.learned.recommender.popularity_, expected.popularity_)
    answer = client.get("/users/9000/recommendations?k=1").json()
    assert answer["source"] == "model"


def test_until_it_is_learned_a_user_is_folded_in(
    start: Start, shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    learns = LiveModel.taught

    def slowly(self: LiveModel) -> Any:
        time.sleep(1)
        return learns(self)

    monkeypatch.setattr(LiveModel, "taught", slowly)
    client = start(shop, {"als": ALS(n_factors=8, epochs=3).fit(shop)}, policy="incremental")
    client.post("/events", json={"user": 101, "item": 1010, "kind": "like"})
    assert client.get("/users/101/recommendations").json()["source"] == "fold_in"
    until(lambda: model_of(client)["n_learned"] == 1, "it is learned")
    answer = client.get("/users/101/recommendations?k=50").json()
    assert answer["source"] == "model"
    assert 1010 not in [one["item"] for one in answer["items"]]


def test_a_failure_to_learn_is_told_and_answers_go_on(
    start: Start, shop: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: LiveModel) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(LiveModel, "taught", fails)
    client = start(shop, {"popularity": Popularity().fit(shop)})
    client.post("/events", json={"user": 101, "item": 1010, "kind": "like"})
    until(lambda: model_of(client)["n_failed"] > 0, "the failure is told")
    failure = model_of(client)["failure"]
    assert failure == "learning from events failed; the log of the server says why"
    assert "recexp_model_failures_total{" in client.get("/metrics").text
    assert client.get("/users/101/recommendations").status_code == 200


def test_a_refit_learns_everything_and_is_swapped_in(
    start: Start, shop: Dataset, tmp_path: Path
) -> None:
    """With new users and items: the child numbers them as the server does."""
    fitted = EASE(regularization=50.0).fit(shop)
    save(FittedModel(fitted, shop), tmp_path / "model")
    client = start(
        shop, {"ease": fitted}, folder=tmp_path / "model", refit_every=RefitEvery(n_new=40)
    )
    events = [{"user": 9000 + n % 5, "item": 2000 + n % 8, "kind": "like"} for n in range(40)]
    events += [{"user": 101, "item": 2000, "kind": "rating", "value": 1.0}]
    client.post("/events", json={"events": events})
    answered = 0
    while model_of(client)["n_refits"] == 0:
        answer = client.get("/users/101/recommendations")  # never waits
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 2
        answered += 1
        assert answered < 10_000
    live = client.served[0].live
    assert model_of(client)["version"] == 2
    assert model_of(client)["n_learned"] == 41
    expected = EASE(regularization=50.0).fit(live.histories.whole())
    np.testing.assert_allclose(
        np.asarray(live.learned.recommender.weights_), np.asarray(expected.weights_), atol=1e-5
    )
    assert client.get("/items/2001/similar").status_code == 200
    answer = client.get("/users/9000/recommendations?k=3&exclude_seen=false").json()
    assert answer["source"] == "model"
    # Later events count on from there.
    client.post("/events", json={"user": 9000, "item": 1001, "kind": "like"})
    assert client.get("/users/9000/recommendations").json()["source"] == "fold_in"


@pytest.mark.parametrize("every", [RefitEvery(n_new=1), RefitEvery(seconds=1)], ids=str)
def test_a_refit_that_fails_is_told_and_tried_again_at_its_next_turn(
    start: Start,
    shop: Dataset,
    tmp_path: Path,
    every: RefitEvery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fitted = SLIM().fit(shop)
    folder = tmp_path / "model"
    client = start(shop, {"slim": fitted}, policy="static", folder=folder, refit_every=every)
    client.post("/events", json={"user": 101, "item": 1010, "kind": "like"})
    until(lambda: model_of(client)["n_failed"] > 0, "the failure is told")
    failure = model_of(client)["failure"]
    assert failure == "fitting anew failed; the log of the server says why"
    assert "fitting anew failed: " in caplog.text
    assert "holds no recexp model" in caplog.text
    assert client.get("/users/101/recommendations").json()["source"] == "model"
    save(FittedModel(fitted, shop), folder)
    if every.n_new is not None:
        client.post("/events", json={"user": 101, "item": 1011, "kind": "like"})
    until(lambda: model_of(client)["n_refits"] > 0, "it is fitted anew after all")
    assert model_of(client)["failure"] is None
    assert model_of(client)["n_learned"] >= 1


def test_a_refit_ends_with_the_server(
    start: Start, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application of this test is closed while its child is at work."""
    children: list[Any] = []
    begins = Refit.start

    def noted(self: Refit) -> Any:
        children.append(begins(self))
        return children[-1]

    monkeypatch.setattr(Refit, "start", noted)
    fitted = EASE().fit(shop)
    save(FittedModel(fitted, shop), tmp_path / "model")
    every = RefitEvery(n_new=1)
    client = start(shop, {"ease": fitted}, folder=tmp_path / "model", refit_every=every)
    client.post("/events", json={"user": 101, "item": 1010, "kind": "like"})
    until(lambda: children, "a refit begins")
    assert children[0].poll() is None
    client.__exit__(None, None, None)
    assert [child.poll() for child in children] == [-signal.SIGKILL]
