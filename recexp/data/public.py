"""Public datasets: files with a URL and a checksum, downloaded once into the cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recexp.data.cache import cache_folder, require_writable
from recexp.data.dataset import Dataset
from recexp.data.download import fetch
from recexp.data.files import file_hash
from recexp.data.lightgcn import load_lightgcn
from recexp.data.readers import load_csv
from recexp.data.rejected import OnBadRows
from recexp.data.snapshot import Snapshot, file_stem
from recexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)

ALGORITHMS = ("sha256", "sha1", "md5", "git")
"""What a checksum `ALGORITHM:HEX` may be of; git: of the file as a blob, as GitHub lists it."""


def load_public(
    name: str,
    files: Mapping[str, Mapping[str, str]],
    licence: str,
    citation: str,
    homepage: str,
    format: str = "csv",
    interactions: str = "",
    columns: Mapping[str, str | int | None] | None = None,
    scale: Sequence[float] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    items: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    path: str | None = None,
    on_bad_rows: OnBadRows = "report",
    snapshot: Snapshot = "auto",
) -> Dataset:
    """Return a dataset whose files are published somewhere, described by a YAML file alone.

    Args:
        name: of the dataset, and of its folder in the cache.
        files: by name of the file: {url, checksum: `sha256:...`}; checksums are checked always.
        licence, citation, homepage: for the record.
        format: csv, or lightgcn (train.txt and test.txt).
        interactions: which of the files has them (csv).
        items, users: tables as in `readers.load_csv`, with `file` instead of `path`.
        path: a folder that has the files; nothing is downloaded then.

    Raises DataError when a file cannot be had or is another than the published one.
    """
    folder = Path(path).expanduser() if path else fetch_files(name, files)
    if path:
        _check(folder, files)
    if format == "lightgcn":
        dataset = load_lightgcn(str(folder), name)
    elif format == "csv":
        dataset = load_csv(
            str(folder / interactions),
            columns,
            scale,
            delimiter,
            header,
            encoding,
            items=_with_path(items, folder),
            users=_with_path(users, folder),
            on_bad_rows=on_bad_rows,
            snapshot=snapshot,
            name=name,
        )
    else:
        raise ConfigError(f"dataset.format={format}: expected csv or lightgcn")
    source = {
        "source": "local files" if path else "downloaded",
        "url": homepage,
        "licence": licence,
        "citation": citation,
        "downloads": {file: dict(about) for file, about in files.items()},
    }
    return replace(dataset, facts={**dataset.facts, **source})


def fetch_files(name: str, files: Mapping[str, Mapping[str, str]]) -> Path:
    """Return the folder in the cache with all `files`, fetching those that are not there.

    A file whose checksum differs is fetched again. Raises DataError when one cannot be had,
    StorageError when the cache cannot be written.
    """
    folder = cache_folder() / "public" / file_stem(name)
    for file, about in files.items():
        target = folder / file
        if target.is_file():
            if checksum(target, about["checksum"]) == about["checksum"]:
                continue
            log.warning("%s is damaged (its checksum differs); fetching it again", target)
        require_writable(folder)
        _fetch(name, about, target)
    return folder


def checksum(file: Path, like: str) -> str:
    """Return the checksum of a file by the algorithm of another, `ALGORITHM:HEX`."""
    algorithm = like.partition(":")[0]
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"checksum {like!r}: expected one of {', '.join(ALGORITHMS)}, then :HEX")
    if algorithm != "git":
        return f"{algorithm}:{file_hash(file, algorithm)}"
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"git:{digest.hexdigest()}"


def _fetch(name: str, about: Mapping[str, str], target: Path) -> None:
    url, expected = about["url"], about["checksum"]
    git = expected.startswith("git:")
    # What is fetched takes its place only when it is what was published.
    part = target.with_name(f".{target.name}.part") if git else target
    try:
        fetch(url, part, None if git else expected)
        if git and checksum(part, expected) != expected:
            raise DataError(f"{url} is not the file expected (its checksum differs)")
        if git:
            part.replace(target)
    except DataError as error:
        host = urlsplit(url).netloc
        raise DataError(
            f"{name} cannot be had ({error}). Fetch {target.name} from {host} on another machine "
            "and set dataset.path to the folder with it"
        ) from error
    finally:
        if git:
            part.unlink(missing_ok=True)


def _check(folder: Path, files: Mapping[str, Mapping[str, str]]) -> None:
    for file, about in files.items():
        if not (folder / file).is_file():
            raise DataError(f"{folder} has no file {file}; expected {', '.join(files)}")
        if checksum(folder / file, about["checksum"]) != about["checksum"]:
            raise DataError(f"{folder / file} is not the published file (its checksum differs)")


def _with_path(options: Mapping[str, Any] | None, folder: Path) -> dict[str, Any] | None:
    if options is None:
        return None
    rest = {key: value for key, value in options.items() if key != "file"}
    return {"path": str(folder / options["file"]), **rest}
