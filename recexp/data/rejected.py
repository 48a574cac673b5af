"""Rows that cannot be used: each counted once, listed with its place and reason."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from recexp.arrays import AnyArray, BoolArray
from recexp.data.cache import atomic_write
from recexp.data.scan import LISTED, Bad
from recexp.errors import ConfigError, DataError, StorageError, did_you_mean

log = logging.getLogger(__name__)

OnBadRows = Literal["report", "drop", "fail"]
"""What bad rows do: they are left out and listed in a file; left out; or refused."""


def check_policy(on_bad_rows: str) -> None:
    """Raise ConfigError unless `on_bad_rows` is one of the three."""
    accepted = ("report", "drop", "fail")
    if on_bad_rows not in accepted:
        raise ConfigError(f"dataset.on_bad_rows={on_bad_rows}{did_you_mean(on_bad_rows, accepted)}")


@dataclass
class Rejected:
    """The bad rows of a source of `n_rows` rows that were read, and some that could not be.

    Attributes:
        where: the source, for messages.
        n_rows: rows in the columns, good or bad.
        files: names of the source's files.
        unread: rows that are not in the columns, listed; `counts` has all of them.
        place: (file, line) of rows of the columns.
        text: one row of the columns, for people, or what it has for a role.
        counts: bad rows by reason, each under its first.
        mask: bad rows of the columns, or None as long as there is none.
    """

    where: str
    n_rows: int
    files: Sequence[str]
    unread: Sequence[Bad]
    place: Callable[[AnyArray], list[tuple[int, int]]]
    text: Callable[[int, str | None], str]
    counts: dict[str, int]
    mask: BoolArray | None = None
    _found: list[tuple[str, AnyArray]] = field(default_factory=list)

    @property
    def n_read(self) -> int:
        """Rows of the source."""
        within = sum(len(rows) for _, rows in self._found)
        return self.n_rows + sum(self.counts.values()) - within

    @property
    def kept(self) -> BoolArray | None:
        """The rows of the columns that are good, or None when all are."""
        return None if self.mask is None else ~self.mask

    def add(self, reason: str, rows: BoolArray, column: str, role: str, advice: str = "") -> None:
        """Note bad rows of the columns.

        Raises DataError, with `advice`, when they are most of all: then not the rows are wrong.
        """
        n_bad = int(np.count_nonzero(rows))
        if n_bad == 0:
            return
        if n_bad > len(rows) / 2:
            none = "" if role in ("user", "item") else " or to '' for none"
            example = self.text(int(np.argmax(rows)), role)
            raise DataError(
                f"{self.where}: column {column!r} cannot be the {role}: {reason} in {n_bad:,} of "
                f"{len(rows):,} rows, such as {example[:40]!r}; "
                + (advice or f"set dataset.columns.{role}{none}")
            )
        new = rows if self.mask is None else rows & ~self.mask
        found = np.flatnonzero(new)
        if len(found):
            self.counts[reason] = self.counts.get(reason, 0) + len(found)
            self._found.append((reason, found))
            self.mask = rows.copy() if self.mask is None else self.mask | rows

    def settle(self, on_bad_rows: OnBadRows, file: Path | None) -> str | None:
        """Do what `on_bad_rows` says; return the path of the file that lists the rows, or None.

        Raises DataError when bad rows are refused and there is one.
        """
        if not self.counts:
            return None
        if on_bad_rows == "fail":
            first = self._listed()[0]
            raise DataError(
                f"{self.where}: {self} cannot be used; the first is {self.files[first.file]}, "
                f"line {first.line}: {first.reason}: {first.text[:60]!r}; mend them, or set "
                "dataset.on_bad_rows=report to go on without them"
            )
        if on_bad_rows == "drop" or file is None:
            return None
        try:
            self._write(file)
        except StorageError as error:
            log.warning("the list of bad rows is not kept: %s", error)
            return None
        return str(file)

    def __str__(self) -> str:
        return f"{sum(self.counts.values()):,} of {self.n_read:,} rows ({self.reasons()})"

    def reasons(self) -> str:
        """Return the counts by reason as a text."""
        return ", ".join(f"{n:,} {reason}" for reason, n in self.counts.items())

    def _listed(self) -> list[Bad]:
        rows = [*self.unread]
        for reason, found in self._found:
            found = found[: LISTED - len(rows)]
            places = self.place(found)
            rows += [
                Bad(file, line, reason, self.text(row, None))
                for (file, line), row in zip(places, found.tolist(), strict=True)
            ]
        return sorted(rows, key=lambda bad: (bad.file, bad.line))

    def _write(self, file: Path) -> None:
        with atomic_write(file) as raw:
            text = io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", newline="")
            writer = csv.writer(text)
            writer.writerow(["file", "line", "reason", "text"])
            for bad in self._listed():
                writer.writerow([self.files[bad.file], bad.line, bad.reason, bad.text])
            text.detach()
