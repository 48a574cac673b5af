"""Batches into one Parquet or CSV file, by way of a folder of parts."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recexp.arrays import AnyArray
from recexp.data.arrow import arrow_array
from recexp.errors import StorageError
from recexp.progress import progress
from recexp.writeback.batches import Job

_JOB = "job.json"
_KEY = b"recexp.job"


class FileSink:
    """Writes `path` (`.parquet` or `.csv`): parts into the folder `.NAME.parts` beside it, each
    of which appears whole; when all are there, the file, which appears whole as well.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = path.with_name(f".{path.name}.parts")
        self.as_csv = path.suffix.lower() == ".csv"

    def begin(self, job: Job, *, replace: bool) -> set[int]:
        with self._writing():
            if replace:
                self.path.unlink(missing_ok=True)
                shutil.rmtree(self.parts, ignore_errors=True)
            self.parts.parent.mkdir(parents=True, exist_ok=True)
            if not self.parts.is_dir():
                if self.path.exists():
                    self._same(job, self._job_of_file())
                    return set(range(job.n_batches))
                # Made aside, so that there is never a folder without its job.
                aside = self.parts.with_name(f"{self.parts.name}.{os.getpid()}")
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir()
                (aside / _JOB).write_text(job.text(), encoding="utf-8")
                with contextlib.suppress(OSError):  # another process has made it meanwhile
                    aside.rename(self.parts)
            self._same(job, (self.parts / _JOB).read_text(encoding="utf-8"))
            return {int(part.stem) for part in self.parts.glob("[0-9]*.parquet")}

    def write(self, job: Job, batch: int, columns: Mapping[str, AnyArray]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = [arrow_array(column) for column in columns.values()]
        table = pa.Table.from_arrays(arrays, names=list(columns))
        with self._writing(), _whole(self._part(batch)) as part:
            pq.write_table(table, part)

    def finish(self, job: Job) -> None:
        if not self.parts.is_dir():
            return
        import pyarrow.parquet as pq
        from pyarrow import csv

        with self._writing(), _whole(self.path) as whole:
            schema = pq.read_schema(self._part(0)).with_metadata({_KEY: job.text()})
            opened = csv.CSVWriter if self.as_csv else pq.ParquetWriter
            with opened(whole, schema) as writer:
                for batch in progress(range(job.n_batches), "assemble", total=job.n_batches):
                    writer.write_table(pq.ParquetFile(self._part(batch)).read())
        shutil.rmtree(self.parts, ignore_errors=True)

    def _part(self, batch: int) -> Path:
        return self.parts / f"{batch:06}.parquet"

    def _job_of_file(self) -> str:
        """The job that wrote the file, as it says itself; a CSV file says nothing."""
        if self.as_csv:
            return ""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(self.path).metadata or {}
        except pa.ArrowInvalid:
            return ""
        found: bytes = metadata.get(_KEY, b"")
        return found.decode()

    def _same(self, job: Job, other: str) -> None:
        if other != job.text():
            what = f"holds {job.clash(other)}" if other else "is there already"
            raise StorageError(
                f"{self.path} {what}; give another --output, or --replace to write it anew"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"--output {self.path} cannot be written ({reason})") from error


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Any]:
    """Yield a file that takes the place of `path` when the block ends well."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            yield file
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
