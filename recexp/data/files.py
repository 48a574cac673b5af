"""The files of a folder or a zip archive, read by name; nothing is ever extracted."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from recexp.errors import DataError

MAX_BYTES = 4 << 30
"""The largest file that is read from an archive: four times the largest MovieLens has."""


class Files:
    """Named files at the top of a folder or zip archive, or one folder down.

    `inner` is one more folder to look into, deeper down. Raises DataError for a path that is
    missing or is not an archive.
    """

    def __init__(self, path: Path, inner: str = "") -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        self._where: dict[str, str] = {}
        if path.is_dir():
            found = [*path.iterdir(), *(below for below in path.glob("*/*"))]
            names = [file.relative_to(path).as_posix() for file in found if file.is_file()]
        else:
            try:
                self._archive = zipfile.ZipFile(path)
            except FileNotFoundError:
                raise DataError(
                    f"{path} does not exist; expected a zip archive or a folder"
                ) from None
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(
                    f"{path} is not a zip archive that can be read ({error}), nor a folder"
                ) from error
            names = self._archive.namelist()
        for name in sorted(names, key=lambda name: (name.count("/"), name)):
            parts = PurePosixPath(name).parts
            if ".." in parts:
                continue
            if len(parts) <= 2 or (inner and name == f"{inner}/{parts[-1]}"):
                self._where.setdefault(parts[-1], name)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def open(self, name: str) -> IO[bytes]:
        """Return the file called `name`, open for reading bytes."""
        where = self._where.get(name)
        if where is None:
            raise DataError(f"{self.path} has no file {name}")
        if self._archive is None:
            return (self.path / where).open("rb")
        size = self._archive.getinfo(where).file_size
        if size > MAX_BYTES:
            raise DataError(
                f"{self.path}: {where} unpacks to {size:,} bytes, at most {MAX_BYTES:,}"
            )
        return self._archive.open(where)

    def read(self, name: str) -> bytes:
        """Return the content of the file called `name`."""
        with self.open(name) as file:
            return file.read()

    def lines(self, name: str) -> list[str]:
        """Return the lines of a text that is UTF-8 or else Latin-1, without empty ones."""
        content = self.read(name)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        # Not splitlines: it also splits at bytes that are letters or spaces elsewhere.
        return [line for line in text.replace("\r\n", "\n").split("\n") if line]

    def sha256(self, names: Iterable[str]) -> str:
        """Return the hash of the archive, or of the files called `names` in a folder."""
        if self._archive is not None:
            return file_hash(self.path)
        digest = hashlib.sha256()
        for name in names:
            if name in self:
                digest.update(f"{name} {file_hash(self.path / self._where[name])}\n".encode())
        return digest.hexdigest()


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
