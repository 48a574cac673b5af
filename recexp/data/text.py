"""Files of text as blocks of UTF-8: unpacked, decoded, and the same from beginning to end."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from recexp.errors import ConfigError, DataError

BLOCK = 4 << 20
"""Bytes read at once: a block and its spans fit the processor's cache."""
UNPACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
"""Compressions by the bytes with which their files begin; names of files lie."""
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
PLAIN = {"utf-8", "ascii"}
"""Encodings whose bytes are read as they are; what is no UTF-8 among them shows in the ids."""


@dataclass(frozen=True)
class State:
    """What a file is before and after it is read, so that a change in between shows."""

    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, file: Path) -> State:
        """Return the state of a file; DataError when it is gone."""
        try:
            found = file.stat()
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error.strerror})") from error
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True)
class TextFile:
    """A file to read: its compression ('' for none), encoding, and state when it was opened."""

    path: Path
    compression: str
    encoding: str
    marked: bool
    state: State

    @classmethod
    def open(cls, path: Path, encoding: str = "utf-8") -> TextFile:
        """Return the file at `path`; raises DataError when it cannot be read or is empty."""
        try:
            codec = codecs.lookup(encoding).name
            "".encode(encoding)  # rot13 and the like are no encodings of text
        except (LookupError, UnicodeError):
            raise ConfigError(
                f"dataset.encoding={encoding}: Python knows no such encoding"
            ) from None
        state = State.of(path)
        try:
            with path.open("rb") as file:
                start = file.read(8)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        compression = next((name for mark, name in UNPACKED.items() if start.startswith(mark)), "")
        found = cls(path, compression, codec, False, state)
        with found.raw() as stream:
            start = found._read(stream, 4)
        mark = next((mark for mark in MARKS if start.startswith(mark)), None)
        if mark is not None and codec in (*PLAIN, "utf-8-sig", "utf-16"):
            return cls(path, compression, MARKS[mark], True, state)
        return cls(path, compression, "utf-8" if codec == "utf-8-sig" else codec, False, state)

    def raw(self) -> IO[bytes]:
        """Return the unpacked bytes as a stream."""
        try:
            match self.compression:
                case "gzip":
                    return cast(IO[bytes], gzip.open(self.path))
                case "bz2":
                    return cast(IO[bytes], bz2.open(self.path))
                case "xz":
                    return cast(IO[bytes], lzma.open(self.path))
                case "zstd":
                    import pyarrow as pa

                    return cast(IO[bytes], pa.input_stream(str(self.path), compression="zstd"))
                case "zip":
                    archive = zipfile.ZipFile(self.path)
                    names = [name for name in archive.namelist() if not name.endswith("/")]
                    if len(names) != 1:
                        raise DataError(
                            f"{self.path} holds {len(names)} files; expected an archive of one, "
                            "or dataset.path to a file taken out of it"
                        )
                    return archive.open(names[0])
            return self.path.open("rb", buffering=0)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._unreadable(error) from error

    def blocks(self) -> Iterator[bytes]:
        """Yield the content in UTF-8, without a byte order mark.

        Raises DataError for a file that cannot be unpacked to its end, and when at the end it is
        no longer the file that was opened.
        """
        decoder = None
        if self.encoding not in PLAIN:
            # What cannot be decoded becomes U+FFFD, and its row is refused where that matters.
            decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        first = True
        with self.raw() as stream:
            while block := self._read(stream, BLOCK):
                if decoder is None and not self.compression:
                    # Back to the last line end: no row is cut, and nothing copied to mend it.
                    cut = block.rfind(b"\n") + 1
                    if 0 < cut < len(block) == BLOCK:
                        stream.seek(cut - len(block), 1)
                        block = block[:cut]
                if decoder is not None:
                    block = self._decode(decoder, block)
                if first:
                    block = block.removeprefix(codecs.BOM_UTF8)
                first = False
                if block:
                    yield block
        if decoder is not None and (rest := self._decode(decoder, b"", final=True)):
            yield rest
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise DataError when the file is not the one that was opened."""
        if State.of(self.path) != self.state:
            raise DataError(f"{self.path} changed while it was read; read it when it is still")

    def _decode(
        self, decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False
    ) -> bytes:
        try:
            return decoder.decode(block, final).encode("utf-8", "surrogatepass")
        except UnicodeError as error:
            raise DataError(
                f"{self.path} is not {self.encoding} ({error}); set dataset.encoding"
            ) from error

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        try:
            return stream.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError, ValueError) as error:
            raise self._unreadable(error) from error
        except zipfile.BadZipFile as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return DataError(f"{self.path} cannot be read ({reason.splitlines()[0]})")


def content_hash(files: Sequence[TextFile]) -> str:
    """Return the SHA-256 of the files' bytes, one after the other, as they lie on the disk."""
    digest = hashlib.sha256()
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    for file in files:
        try:
            with file.path.open("rb", buffering=0) as stream:
                while size := stream.readinto(buffer):
                    digest.update(view[:size])
        except OSError as error:
            raise file._unreadable(error) from error
        digest.update(b"\0" + str(file.state.size).encode())
    return digest.hexdigest()


def sources(path: str | Sequence[str], suffixes: Sequence[str]) -> list[Path]:
    """Return the files that `path` means: a file, a folder, a glob pattern, or a list of these.

    Of a folder all files with one of the `suffixes` (before that of a compression), by name.
    Raises DataError when there is none.
    """
    found: list[Path] = []
    for one in [path] if isinstance(path, str) else path:
        place = Path(one).expanduser()
        if place.is_dir():
            inside = [file for file in sorted(place.iterdir()) if _is_table(file, suffixes)]
            if not inside:
                raise DataError(
                    f"{place} is a folder without files {', '.join(suffixes)}; set dataset.path "
                    "to a file, a folder of files, or a pattern such as 'data/*.csv'"
                )
            found += inside
        elif not place.exists() and any(mark in one for mark in "*?["):
            root = Path(place.anchor) if place.is_absolute() else Path()
            pattern = str(place.relative_to(root)) if place.is_absolute() else str(place)
            try:
                matched = sorted(file for file in root.glob(pattern) if file.is_file())
            except (ValueError, NotImplementedError) as error:
                raise DataError(f"dataset.path={one} is no pattern ({error})") from error
            if not matched:
                raise DataError(f"no file matches dataset.path={one}")
            found += matched
        elif place.is_file():
            found.append(place)
        else:
            raise DataError(
                f"{place.absolute()} does not exist; set dataset.path to a file"
                if not place.exists()
                else f"{place} is neither a file nor a folder; set dataset.path to a file"
            )
    if not found:
        raise DataError("dataset.path is an empty list; expected a file")
    return found


def _is_table(file: Path, suffixes: Sequence[str]) -> bool:
    names = [suffix.lower() for suffix in file.suffixes]
    if names and names[-1] in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        names.pop()
    hidden = file.name.startswith((".", "_"))
    return file.is_file() and not hidden and bool(names) and names[-1] in suffixes
