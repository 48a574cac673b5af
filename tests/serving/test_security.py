"""Who may not ask is refused, what is too large is not read, and hostile texts stay texts."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from recexp.algorithms.ease import EASE
from recexp.artifact import load, load_recommender, save
from recexp.data.dataset import Dataset
from recexp.errors import DataError
from recexp.fitted import FittedModel
from recexp.serving.security import Access, Rate

Start = Callable[..., Any]
LIKE = {"user": 101, "item": 1010, "kind": "like"}


@pytest.fixture(scope="module")
def locked(start_once: Start, shop: Dataset) -> Any:
    return start_once(shop, {"ease": EASE().fit(shop)}, access=Access("sésame"))


@pytest.fixture(scope="module")
def client(start_once: Start, shop: Dataset) -> Any:
    return start_once(shop, {"ease": EASE().fit(shop)})


def bearer(token: str) -> dict[str, Any]:
    return {"Authorization": f"Bearer {token}".encode()}


def test_without_the_token_only_health_answers(locked: Any) -> None:
    assert locked.get("/health").status_code == 200
    paths = ["/ready", "/models", "/users", "/metrics", "/docs", "/openapi.json", "/nowhere"]
    for path in [*paths, "/users/101/recommendations", "/health/", "/HEALTH"]:
        answer = locked.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["status"] == 401
    assert locked.post("/events", json=LIKE).status_code == 401
    assert locked.post("/health", json=LIKE).status_code == 405


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"Bearer", b"Bearer ", b"Bearer wrong", b"Basic s\xc3\xa9same", b"s\xc3\xa9same"),
        *(b"Bearer s\xc3\xa9sam", b"Bearer s\xc3\xa9same2", b"Bearer \xff\xfe"),
    ],
)
def test_a_wrong_token_is_refused(locked: Any, header: bytes) -> None:
    assert locked.get("/models", headers={"Authorization": header}).status_code == 401


def test_the_token_opens_everything(locked: Any) -> None:
    assert locked.get("/models", headers=bearer("sésame")).status_code == 200
    assert locked.post("/events", json=LIKE, headers=bearer("sésame")).status_code == 201
    lower = {"Authorization": "bearer sésame".encode()}
    assert locked.get("/models", headers=lower).status_code == 200


def test_the_page_without_the_token_asks_for_it(locked: Any) -> None:
    answer = locked.get("/")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert locked.get("/", headers=bearer("sésame")).text == answer.text


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST.", True),
        ("127.0.0.1:1", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("192.168.1.5", False),
        ("", False),
    ],
)
def test_other_names_are_refused_against_dns_rebinding(
    client: Any, host: str, passes: bool
) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == (200 if passes else 400)


def test_names_can_be_allowed_and_addresses_say_nothing_wrong() -> None:
    access = Access(hosts={"shop.example", "localhost"}, addresses=True)
    assert access.host_allowed("shop.example:80")
    assert access.host_allowed("10.1.2.3:80")
    assert access.host_allowed("[fe80::1]:80")
    assert not access.host_allowed("10.1.2.3.evil.example")
    assert Access(hosts={"*"}).host_allowed("anything")


def test_no_other_site_may_read_or_send(client: Any) -> None:
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/events", headers=asks)
    assert answer.status_code == 405
    answer = client.get("/models", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    # What a form, or a script without leave, can send: never as JSON.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"Content-Type": kind}
        assert client.post("/events", content=json.dumps(LIKE), headers=headers).status_code == 415
    assert client.get("/models").json()["models"][0]["n_events"] == 0


def test_answers_carry_what_keeps_browsers_careful(client: Any) -> None:
    for path in ("/models", "/nowhere", "/docs", "/"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_a_body_beyond_a_megabyte_is_refused(client: Any) -> None:
    headers = {"Content-Type": "application/json"}
    large = b'{"history": [' + b" " * 1_000_000
    answer = client.post("/recommendations", content=large, headers=headers)
    assert answer.status_code == 413
    assert "1,000,000 bytes" in answer.json()["detail"]

    def pieces() -> Iterator[bytes]:
        """Two megabytes that do not say how long they are."""
        for _ in range(32):
            yield b" " * 65_536

    assert client.post("/recommendations", content=pieces(), headers=headers).status_code == 413
    for length in ("-1", "ten", "9" * 30):
        headers["Content-Length"] = length
        assert client.post("/recommendations", content=b"{}", headers=headers).status_code == 413


def test_headers_beyond_32_kb_are_refused(client: Any) -> None:
    assert client.get("/health", headers={"X-Long": "x" * 40_000}).status_code == 431


@pytest.mark.parametrize(
    "id_",
    [
        *("x" * 200, "'; DROP TABLE recexp_events;--", "<script>alert(1)</script>", "\\", " "),
        *("../../etc/passwd", "%2e%2e%2f", "a/b?c#d", "日本語", "\u202eabc", "a\x00b", "{{7*7}}"),
        *("007", "null"),
    ],
)
def test_hostile_ids_are_ids(start: Start, id_: str) -> None:
    rng = np.random.default_rng(0)
    users = np.array([f"u{at}" for at in rng.integers(0, 20, 200)])
    items = np.array([f"i{at}" for at in rng.integers(0, 20, 200)])
    data = Dataset.from_columns("texts", users, items)
    client = start(data, {"ease": EASE().fit(data)})
    path = quote(id_, safe="")
    answer = client.get(f"/users/{path}/profile")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    body = {"id": id_.replace("\x00", "0"), "user": id_, "item": id_, "kind": "like"}
    assert client.post("/events", json=body).status_code == 201
    profile = client.get(f"/users/{path}/profile").json()
    assert profile["user"] == id_
    assert profile["history"][0]["item"] == id_
    assert client.get("/users", params={"search": id_}).json()["users"][0]["user"] == id_
    assert client.get("/items", params={"search": id_}).json()["items"][0]["item"] == id_


def test_too_long_ids_are_not_taken(start: Start) -> None:
    data = Dataset.from_columns("texts", np.array(["a", "b"]), np.array(["x", "y"]))
    client = start(data, {"ease": EASE().fit(data)})
    for body in ({"user": "x" * 201, "item": "x"}, {"user": "", "item": "x"}):
        assert client.post("/events", json=body | {"kind": "like"}).status_code == 422


def test_a_client_can_send_so_many_events_a_second(start: Start, shop: Dataset) -> None:
    client = start(shop, {"ease": EASE().fit(shop)}, rate=5.0)
    some = {"events": [LIKE] * 12}
    assert client.post("/events", json=some).status_code == 201
    answer = client.post("/events", json=LIKE)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    assert client.get("/models").json()["models"][0]["n_events"] == 12
    assert client.get("/users/101/recommendations").status_code == 200


def test_the_rate_fills_up_again_and_is_each_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    rate = Rate(2.0)
    rate.take("a", 4)  # two more than there are
    rate.take("b", 1)
    for wait, passes in ((1.0, False), (0.49, False), (0.02, True), (0.0, False)):
        now += wait
        if passes:
            rate.take("a", 1)
        else:
            with pytest.raises(Exception, match="2 events a second"):
                rate.take("a", 1)


@pytest.fixture
def folder(shop: Dataset, tmp_path: Path) -> Path:
    save(FittedModel(EASE().fit(shop), shop), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["state.npz", "train.npz", "ids.json"])
def test_a_model_that_was_tampered_with_is_refused(folder: Path, name: str) -> None:
    path = folder / "data" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for loading in (load, load_recommender):
        with pytest.raises(DataError, match="was changed since the run wrote it"):
            loading(folder)


def test_no_pickle_is_loaded_even_when_the_manifest_vouches_for_it(folder: Path) -> None:
    import hashlib

    data = folder / "data"
    array = np.empty(1, object)
    array[0] = pickle.PickleBuffer  # any global: loading would look it up
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    with zipfile.ZipFile(data / "state.npz", "w") as file:
        file.writestr("weights.npy", buffer.getvalue())
    manifest = json.loads((data / "manifest.json").read_text())
    digest = hashlib.sha256((data / "state.npz").read_bytes()).hexdigest()
    manifest["files"]["state.npz"] = digest
    (data / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load(folder)
