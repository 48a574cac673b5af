"""The folder that keeps what was downloaded and parsed; files in it are whole or absent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from recexp.errors import StorageError


def cache_folder() -> Path:
    """Return `RECEXP_CACHE`, else the platform's cache folder for recexp; it may not exist yet."""
    named = os.environ.get("RECEXP_CACHE")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("recexp", appauthor=False)


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` when the block ends well, and vanishes if not.

    Raises StorageError when the folder cannot be made or written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    finally:
        # A folder that cannot be written may not even let one look.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def require_writable(folder: Path) -> None:
    """Make the folder if need be, and raise StorageError if no file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> StorageError:
    """Return the error that says how to choose another cache folder."""
    reason = error.strerror or str(error)
    return StorageError(
        f"the cache folder {folder} cannot be written ({reason}): "
        "set RECEXP_CACHE to a folder that can, or free it"
    )
