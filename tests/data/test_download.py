"""Downloads against a server that behaves, and one that does not."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recexp.data import download
from recexp.data.download import fetch, fetch_wheel
from recexp.data.movielens import load_movielens
from recexp.errors import DataError, StorageError

RATINGS = b"userId,movieId,rating,timestamp\n1,1,4.0,1\n1,3,0.5,2\n2,1,5.0,3\n"
MOVIES = b"movieId,title,genres\n1,One (1999),Drama\n3,Three (2001),Comedy\n"


class Server(ThreadingHTTPServer):
    """Serves `files`; paths in `cut` break off half-way, those in `stuck` never answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.stuck: set[str] = set()
        self.asked: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        if name in self.server.stuck:
            self.server.closing.wait(10)
            return
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name in self.server.cut else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def latest_small(server: Server, tmp_path: Path) -> Server:
    """A server that has ml-latest-small with its checksum."""
    archive = tmp_path / "built.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("ml-latest-small/ratings.csv", RATINGS)
        file.writestr("ml-latest-small/movies.csv", MOVIES)
    content = archive.read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    server.files["ml-latest-small.zip"] = content
    server.files["ml-latest-small.zip.md5"] = f"MD5 (ml-latest-small.zip) = {md5}\n".encode()
    return server


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_with_its_checksum_arrives(server: Server, tmp_path: Path) -> None:
    server.files["x"] = b"content"
    fetch(f"{server.url}/x", tmp_path / "in" / "x", sha256(b"content"))
    assert (tmp_path / "in" / "x").read_bytes() == b"content"


def test_a_file_with_another_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["x"] = b"tampered"
    with pytest.raises(DataError, match="is not the file expected"):
        fetch(f"{server.url}/x", tmp_path / "in" / "x", sha256(b"content"))
    assert left_in(tmp_path) == []


def test_an_interrupted_download_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["x"] = b"c" * 100_000
    server.cut.add("x")
    with pytest.raises(DataError, match="broke off"):
        fetch(f"{server.url}/x", tmp_path / "in" / "x", sha256(b"c" * 100_000))
    assert left_in(tmp_path) == []


def test_a_download_stops_at_its_limit(server: Server, tmp_path: Path) -> None:
    server.files["x"] = b"c" * 1_000_000
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        fetch(f"{server.url}/x", tmp_path / "in" / "x", None, max_bytes=1000)
    assert left_in(tmp_path) == []


def test_a_missing_file_is_told_by_its_status(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="/nothing answers 404"):
        fetch(f"{server.url}/nothing", tmp_path / "x", None)


def test_a_server_that_never_answers_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "READ_SECONDS", 0.2)
    server.stuck.add("x")
    with pytest.raises(DataError, match="does not answer in time"):
        fetch(f"{server.url}/x", tmp_path / "x", None)


def test_a_port_nobody_listens_at_is_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="cannot be reached"):
        fetch(f"http://127.0.0.1:{port}/x", tmp_path / "x", None)


def test_a_name_that_does_not_resolve_takes_seconds_not_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "getproxies", dict)
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(1) or [])
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"https://example.org is not found \(no network\?\)"):
        fetch("https://example.org/x", tmp_path / "x", None)
    assert time.perf_counter() - start < 0.9


def test_a_folder_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    server.files["x"] = b"content"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        fetch(f"{server.url}/x", tmp_path / "file" / "x", None)


def test_a_release_is_downloaded_once(latest_small: Server, cache: Path) -> None:
    first = load_movielens("latest-small", base_url=latest_small.url)
    assert first.interactions.value.tolist() == [4.0, 0.5, 5.0]
    assert first.facts["url"] == f"{latest_small.url}/ml-latest-small.zip"
    asked = list(latest_small.asked)
    assert asked == ["ml-latest-small.zip.md5", "ml-latest-small.zip"]
    assert (
        load_movielens("latest-small", base_url=latest_small.url).fingerprint == first.fingerprint
    )
    assert latest_small.asked == asked
    assert not [name for name in left_in(cache) if name.startswith((".", "tmp"))]


def test_a_damaged_archive_in_the_cache_is_fetched_again(latest_small: Server, cache: Path) -> None:
    first = load_movielens("latest-small", base_url=latest_small.url)
    archive = cache / "movielens" / "ml-latest-small.zip"
    archive.write_bytes(archive.read_bytes()[:-10])
    again = load_movielens("latest-small", base_url=latest_small.url)
    assert again.fingerprint == first.fingerprint
    assert latest_small.asked.count("ml-latest-small.zip") == 2


def test_an_archive_that_is_not_what_the_checksum_says_is_refused(
    latest_small: Server, cache: Path
) -> None:
    latest_small.files["ml-latest-small.zip"] += b"tampered"
    with pytest.raises(DataError, match=r"cannot be had; tried .* is not the file expected"):
        load_movielens("latest-small", base_url=latest_small.url)
    assert "ml-latest-small.zip" not in left_in(cache)


def test_a_checksum_file_that_has_none_is_refused(latest_small: Server, cache: Path) -> None:
    latest_small.files["ml-latest-small.zip.md5"] = b"<html>no such thing</html>"
    with pytest.raises(DataError, match=r"zip.md5 holds no MD5"):
        load_movielens("latest-small", base_url=latest_small.url)
    assert "ml-latest-small.zip" not in left_in(cache)


def test_when_no_source_has_it_the_error_lists_them_and_says_what_to_do(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    server.files["ml-100k.zip"] = b"not the archive"
    with pytest.raises(DataError) as caught:
        load_movielens(base_url=server.url)
    message = str(caught.value)
    assert str(cache) in message
    assert f"{server.url}/ml-100k.zip is not the file expected" in message
    assert "pip download recbole==1.2.1 fails (ERROR: No matching distribution" in message
    assert "dataset.path" in message
    assert "\n" not in message
    assert left_in(cache) == []


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny wheel in a folder where pip looks, and pip with nowhere else to look."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "recexp_test_demo-1.0-py3-none-any.whl"
    info = "recexp_test_demo-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: recexp-test-demo\nVersion: 1.0\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


def test_pip_brings_a_wheel_by_the_users_configuration(wheel: Path, tmp_path: Path) -> None:
    known = hashlib.sha256(wheel.read_bytes()).hexdigest()
    target = tmp_path / "kept" / wheel.name
    fetch_wheel("recexp-test-demo==1.0", wheel.name, known, target)
    assert target.read_bytes() == wheel.read_bytes()
    assert left_in(target.parent) == [wheel.name]


def test_another_wheel_than_the_known_one_is_refused(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept" / wheel.name
    with pytest.raises(DataError, match="brings another file than the known one"):
        fetch_wheel("recexp-test-demo==1.0", wheel.name, "0" * 64, target)
    assert left_in(target.parent) == []


def test_without_a_pip_module_the_pip_on_the_path_is_used(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "find_spec", lambda name: None)
    monkeypatch.setattr(download.shutil, "which", {"pip3": "/some/where/pip3"}.get)
    assert download._pip() == ["/some/where/pip3"]
    monkeypatch.setattr(download.shutil, "which", {}.get)
    with pytest.raises(DataError, match="there is no pip"):
        fetch_wheel("recexp-test-demo==1.0", wheel.name, "", tmp_path / wheel.name)
