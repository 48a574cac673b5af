"""Fetching a file whose checksum is known, over HTTP or out of the Python package index."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

from recexp.data.cache import unwritable
from recexp.data.files import file_hash
from recexp.errors import DataError

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
PIP_SECONDS = 120.0
MAX_BYTES = 2 << 30
CHUNK = 1 << 16

log = logging.getLogger(__name__)


def fetch(url: str, target: Path, known_hash: str | None, max_bytes: int = MAX_BYTES) -> None:
    """Download `url` to `target`, whole and with `known_hash` (`md5:...`, `sha256:...`), or raise.

    A file already there is replaced. Raises DataError when it cannot be had, within seconds when
    there is no network; StorageError when the folder cannot be written.
    """
    import pooch
    from requests import exceptions

    _resolve(url)
    log.info("downloading %s", url)
    pooch.get_logger().setLevel(logging.WARNING)  # it says the same, and more, on stderr
    downloader = pooch.HTTPDownloader(
        progressbar=_Meter(target.name, max_bytes),
        chunk_size=CHUNK,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
    )
    try:
        target.unlink(missing_ok=True)
        pooch.retrieve(url, known_hash, target.name, target.parent, downloader=downloader)
        target.chmod(0o644)  # pooch leaves it to its owner alone; a cache may be shared
    except exceptions.HTTPError as error:
        status = "an error" if error.response is None else error.response.status_code
        raise DataError(f"{url} answers {status}") from error
    except exceptions.Timeout as error:
        raise DataError(f"{url} does not answer in time") from error
    except exceptions.RequestException as error:
        raise DataError(f"{url} cannot be reached, or broke off") from error
    except ValueError as error:
        raise DataError(f"{url} is not the file expected ({str(error).splitlines()[0]})") from error
    except OSError as error:
        raise unwritable(target.parent, error) from error


def fetch_wheel(requirement: str, filename: str, known_sha256: str, target: Path) -> None:
    """Download the wheel `filename` of `requirement` (`name==version`) to `target` by pip.

    The user's own pip and its configuration; nothing is installed or run. Raises DataError when
    there is no pip, pip fails, or the wheel has another SHA-256.
    """
    options = "--no-deps --only-binary=:all: --quiet --no-input --disable-pip-version-check"
    patience = ["--retries=1", "--timeout=5"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pip-") as folder:
        command = [*_pip(), "download", *options.split(), *patience, "--dest", folder, requirement]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DataError(f"pip download {requirement} fails ({error})") from error
        wheel = Path(folder) / filename
        if done.returncode or not wheel.exists():
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = errors[-1] if errors else f"exit code {done.returncode}"
            raise DataError(f"pip download {requirement} fails ({reason})")
        if file_hash(wheel) != known_sha256:
            raise DataError(f"pip download {requirement} brings another file than the known one")
        wheel.replace(target)


def _pip() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        found = shutil.which(name)
        if found:
            return [found]
    raise DataError("there is no pip")


def _resolve(url: str) -> None:
    """Raise DataError unless the host's name resolves in time: requests cannot limit that."""
    parts = urlsplit(url)
    if parts.scheme in getproxies():
        return  # the proxy resolves it
    found: list[object] = []

    def look_up() -> None:
        with suppress(OSError):
            found.extend(socket.getaddrinfo(parts.hostname, parts.port or parts.scheme))

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not found:
        raise DataError(f"{parts.scheme}://{parts.netloc} is not found (no network?)")


class _Meter:
    """The progress bar of a download, in the form pooch asks for; it stops one that is too long."""

    def __init__(self, label: str, max_bytes: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=label, unit="B", unit_scale=True, disable=None, leave=False)
        self._max_bytes = max_bytes
        self._bytes = 0

    @property
    def total(self) -> float | None:
        return self._bar.total

    @total.setter
    def total(self, total: int) -> None:
        self._bar.total = total or None

    def update(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._max_bytes + CHUNK:  # pooch counts a chunk as whole
            self.close()
            raise ValueError(f"more than {self._max_bytes:,} bytes")
        self._bar.update(size)

    def reset(self) -> None:
        self._bytes = 0
        self._bar.reset()

    def close(self) -> None:
        self._bar.close()
