"""Files of delimited text into columns of codes and moments; every row in them, or on a list.

Large files go through compiled functions, in blocks that several threads work on; small ones
through plain Python, which starts at once. Both have the grammar of `rows.parse_row`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from recexp.arrays import AnyArray, IdxArray
from recexp.data.coded import Coded
from recexp.data.compiled import available
from recexp.data.scan_blocks import Workers, segments_of
from recexp.data.scan_plain import PlainCoder
from recexp.data.segments import Coder, Layout, Segment
from recexp.data.text import TextFile
from recexp.data.timestamps import TEXT, Moments
from recexp.errors import DataError

log = logging.getLogger(__name__)

SMALL = 4 << 20
"""Bytes of source files below which loading the compiled functions would take longer."""
LISTED = 1_000_000
"""Bad rows that are listed; beyond, they are counted only."""


@dataclass(frozen=True)
class Bad:
    """A row that was left out: where it began, why, and how it began."""

    file: int
    line: int
    reason: str
    text: str


@dataclass
class Scanned:
    """The rows of all files.

    Attributes:
        columns: by role, without the timestamp.
        moments: of the timestamp, or None.
        n_rows: in the columns; `rows_of` by file.
        bad: rows left out, at most LISTED of them; `n_bad` counts all, by reason.
        blank, spanning: lines without anything; rows over several lines.
    """

    columns: dict[str, Coded] = field(default_factory=dict)
    moments: Moments | None = None
    n_rows: int = 0
    rows_of: list[int] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    n_bad: Counter[str] = field(default_factory=Counter)
    blank: int = 0
    spanning: int = 0
    breaks: list[tuple[int, int, int]] = field(default_factory=list)

    def lines(self, rows: AnyArray) -> list[tuple[int, int]]:
        """Return (file, line) of each row."""
        breaks = np.array(self.breaks or [(0, 0, 1)], np.int64)
        at = np.searchsorted(breaks[:, 0], rows, side="right") - 1
        lines = breaks[at, 2] + rows - breaks[at, 0]
        return list(zip(breaks[at, 1].tolist(), lines.tolist(), strict=True))


def scan(files: Sequence[TextFile], layout: Layout, threads: int | None = None) -> Scanned:
    """Return the rows of `files`, which all have this layout.

    Raises DataError when a file cannot be read to its end, changes meanwhile, or when most rows
    do not have the fields of the layout.
    """
    coders = _coders(files, layout, threads)
    found = Scanned()
    segments: list[Segment] = []
    with ThreadPoolExecutor(len(coders)) as pool:
        workers = Workers(coders, pool)
        for number, file in enumerate(files):
            before, line = found.n_rows, 1
            for segment in segments_of(file, layout, workers):
                if segment.n_rows:
                    segments.append(segment)
                line = _account(found, segment, number, line)
                _refuse_mostly_bad(found, file, layout)
            found.rows_of.append(found.n_rows - before)
    for role in layout.positions:
        distinct, places = type(coders[0]).merge(coders, role)
        place_of = {id(coder): place for coder, place in zip(coders, places, strict=True)}
        if role == "timestamp":
            found.moments = _moments(segments, distinct, place_of)
        else:
            parts = [(one.codes[role], place_of[id(one.coder)]) for one in segments]
            found.columns[role] = Coded(distinct, parts)
    return found


def _coders(files: Sequence[TextFile], layout: Layout, threads: int | None) -> Sequence[Coder]:
    """As many coders as threads are worth their while."""
    if sum(file.state.size for file in files) < SMALL:
        return [PlainCoder(layout)]
    if not available():
        log.warning("numba is not installed: %s is read slowly", files[0].path)
        return [PlainCoder(layout)]
    from recexp.data.scan_compiled import CompiledCoder

    return [CompiledCoder(layout) for _ in range(min(threads or os.cpu_count() or 1, 4))]


def _moments(
    segments: Sequence[Segment], texts: Sequence[bytes], place_of: Mapping[int, IdxArray | None]
) -> Moments:
    parts = []
    for one in segments:
        assert one.values is not None
        assert one.forms is not None
        places = place_of[id(one.coder)]
        if places is not None and len(texts):
            unread = np.flatnonzero(one.forms == TEXT)
            one.values[unread] = places[one.values[unread]]
        parts.append((one.values, one.forms))
    return Moments.of(parts, texts)


def _account(found: Scanned, segment: Segment, number: int, line: int) -> int:
    """Count a segment that begins on `line` of file `number`; return the line after it."""
    if segment.n_rows:
        gaps = segment.gaps if segment.gaps and segment.gaps[0][0] == 0 else [(0, 0), *segment.gaps]
        found.breaks += [(found.n_rows + row, number, line + below) for row, below in gaps]
    for below, reason, text in segment.bad:
        if len(found.bad) < LISTED:
            found.bad.append(Bad(number, line + below, reason, text))
        found.n_bad[reason] += 1
    found.n_rows += segment.n_rows
    found.blank += segment.blank
    found.spanning += segment.spanning
    return line + segment.n_lines


def _refuse_mostly_bad(found: Scanned, file: TextFile, layout: Layout, least: int = 10_000) -> None:
    n_bad = sum(found.n_bad.values())
    if n_bad > least and n_bad > found.n_rows:
        raise mostly_bad(found, file, layout)


def mostly_bad(found: Scanned, file: TextFile, layout: Layout) -> DataError:
    """Return the error for a file most of whose rows are no rows of the layout."""
    n_bad = sum(found.n_bad.values())
    reason, _ = found.n_bad.most_common(1)[0]
    first = next(one for one in found.bad if one.reason == reason)
    what = (
        f"do not have the {layout.n_fields} fields of the "
        f"{'header' if layout.has_header else 'first row'}"
        if reason.startswith("not ")
        else f"cannot be read ({reason})"
    )
    return DataError(
        f"{file.path}: {n_bad:,} of {n_bad + found.n_rows:,} rows {what}, such as line "
        f"{first.line}: {first.text[:60]!r}; if {layout.dialect.delimiter.decode()!r} does not "
        "separate them set dataset.delimiter, if quotes mean nothing set dataset.quote=''"
    )
