"""Delimited text into columns of codes and moments, every row in them or on the list of the bad.

Large files go through compiled functions, in blocks that several threads work on; small ones
through plain Python, which starts at once. Both have the grammar of `rows.parse_row`.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from recexp.arrays import AnyArray, IdxArray, IntArray
from recexp.data import scan_kernel as kernel
from recexp.data.coded import Coded, DictCoder, SpanCoder
from recexp.data.rows import LINE_END, LONG, Dialect, parse_row
from recexp.data.text import TextFile
from recexp.data.timestamps import Moments, moment
from recexp.errors import DataError

SMALL = 4 << 20
"""Bytes of source files below which loading the compiled functions would take longer."""
SEGMENT = 1 << 18
"""Rows that are encoded at once."""
LISTED = 1_000_000
"""Bad rows that are listed; beyond, they are counted only."""
SHOWN = 200
"""Characters of a bad row that are kept."""


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

    columns: Mapping[str, Coded] = field(default_factory=dict)
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


@dataclass
class Segment:
    """Rows of one block: codes by role, moments, and where lines and rows part."""

    coder: Coder
    n_rows: int
    codes: dict[str, IdxArray]
    values: IntArray | None
    forms: AnyArray | None
    gaps: list[tuple[int, int]]
    n_lines: int
    blank: int
    spanning: int
    bad: list[tuple[int, str, str]]


@dataclass(frozen=True)
class Layout:
    """Which fields of a row are wanted: their positions by role, among `n_fields`."""

    dialect: Dialect
    positions: Mapping[str, int]
    n_fields: int
    has_header: bool


class Coder:
    """Turns blocks into segments; one thread at a time."""

    coders: Mapping[str, DictCoder | SpanCoder]

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        """Return the whole rows at the beginning of `data`, and how many bytes they are.

        `last`: nothing follows that could belong to the last row.
        """
        raise NotImplementedError


class PlainCoder(Coder):
    """In Python."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.coders: dict[str, DictCoder] = {role: DictCoder() for role in layout.positions}
        self._moments: dict[bytes, tuple[int, int]] = {}

    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        layout = self.layout
        lists: dict[str, list[bytes]] = {role: [] for role in layout.positions}
        adders = [(lists[role].append, place) for role, place in layout.positions.items()]
        segment = Segment(self, 0, {}, None, None, [], 0, 0, 0, [])
        at, size, expected = 0, len(data), 0
        while at < size:
            if data[at] in b"\r\n":
                end = LINE_END.match(data, at)
                assert end is not None
                if end.end() == size and data[at] == 13 and not last:
                    break
                at = end.end()
                segment.blank += 1
                segment.n_lines += 1
                continue
            row = parse_row(data, at, layout.dialect, layout.n_fields, last)
            if row is None:
                break
            if row.problem is None:
                for add, place in adders:
                    add(row.fields[place])
                if segment.n_lines != expected:
                    segment.gaps.append((segment.n_rows, segment.n_lines))
                segment.n_rows += 1
                segment.spanning += row.lines > 1
                expected = segment.n_lines + 1
            else:
                segment.bad.append((segment.n_lines, row.problem, shown(data, at, row.size)))
            segment.n_lines += row.lines
            at += row.size
        times = lists.pop("timestamp", None)
        segment.codes = {role: self.coders[role].encode(texts) for role, texts in lists.items()}
        if times is not None:
            segment.values, segment.forms = self._times(times)
        return [segment], at

    def _times(self, texts: Sequence[bytes]) -> tuple[IntArray, AnyArray]:
        known, coder = self._moments, self.coders["timestamp"]
        for text in set(texts) - known.keys():
            form, value = moment(text)
            if form == kernel.TEXT:
                value = int(coder.encode([text])[0])
            known[text] = form, value
        pairs = np.array([known[text] for text in texts], np.int64).reshape(-1, 2)
        return pairs[:, 1].copy(), pairs[:, 0].astype(np.uint8)


class CompiledCoder(Coder):
    """With the compiled functions."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._kernels = kernel.kernels()
        self.coders: dict[str, SpanCoder] = {
            role: SpanCoder(self._kernels) for role in layout.positions
        }
        self._places = {role: row for row, role in enumerate(layout.positions)}
        self._roles = np.full(layout.n_fields, -1, np.int8)
        for role, row in self._places.items():
            self._roles[layout.positions[role]] = row
        shape = (len(self._places), SEGMENT)
        self._starts, self._ends = np.empty(shape, np.int32), np.empty(shape, np.int32)
        self._gaps = np.empty(2 * SEGMENT, np.int64)
        self._delimiter = np.frombuffer(layout.dialect.delimiter, np.uint8)
        self._quote = layout.dialect.quote[0] if layout.dialect.quote else -1

    def segments(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        buffer, segments, at = np.frombuffer(data, np.uint8), [], 0
        why = kernel.FULL
        while why == kernel.FULL:
            why, at, segment = self._segment(data, buffer, at, last)
            segments.append(segment)
        return segments, at

    def _segment(
        self, data: bytes, buffer: AnyArray, at: int, last: bool
    ) -> tuple[int, int, Segment]:
        layout, gaps = self.layout, self._gaps
        report = np.zeros(6, np.int64)
        gaps[:2], report[kernel.GAPS] = 0, 2
        odd: list[tuple[int, list[bytes]]] = []
        bad: list[tuple[int, str, str]] = []
        while True:
            why = int(
                self._kernels.spans(
                    *(buffer, at, len(data), last, self._delimiter, self._quote, layout.n_fields),
                    *(self._roles, self._starts, self._ends, gaps, report),
                )
            )
            at = int(report[kernel.AT])
            if why != kernel.ODD:
                break
            row = parse_row(data, at, layout.dialect, layout.n_fields, last)
            if row is None:
                why = kernel.CUT
                break
            n, line = int(report[kernel.ROWS]), int(report[kernel.LINES])
            if row.problem is None:
                odd.append((n, row.fields))
                self._starts[:, n] = -1
                n_gaps = int(report[kernel.GAPS])
                if line != gaps[n_gaps - 1] + n - gaps[n_gaps - 2]:
                    gaps[n_gaps : n_gaps + 2] = n, line
                    report[kernel.GAPS] += 2
                report[kernel.ROWS] += 1
                report[kernel.SPANNING] += row.lines > 1
            else:
                bad.append((line, row.problem, shown(data, at, row.size)))
            report[kernel.LINES] += row.lines
            at += row.size
            if at == len(data) or n + 1 >= SEGMENT or report[kernel.GAPS] + 4 > len(gaps):
                why = kernel.DONE if at == len(data) else kernel.FULL
                break
        pairs = gaps[2 : int(report[kernel.GAPS])].reshape(-1, 2)
        segment = Segment(
            *(self, int(report[kernel.ROWS]), {}, None, None),
            [(int(row), int(line)) for row, line in pairs],
            *(int(report[kernel.LINES]), int(report[kernel.BLANK]), int(report[kernel.SPANNING])),
            bad,
        )
        self._fill(segment, buffer, odd)
        return why, at, segment

    def _fill(
        self, segment: Segment, buffer: AnyArray, odd: Sequence[tuple[int, list[bytes]]]
    ) -> None:
        rows = np.array([row for row, _ in odd], np.int64)
        for role, place in self._places.items():
            starts = self._starts[place, : segment.n_rows]
            ends = self._ends[place, : segment.n_rows]
            texts = [fields[self.layout.positions[role]] for _, fields in odd]
            if role == "timestamp":
                self._times(segment, buffer, starts, ends, rows, texts)
                continue
            codes = self.coders[role].encode(buffer, starts, ends)
            if texts:
                codes[rows] = self.coders[role].encode_texts(texts)
            segment.codes[role] = codes

    def _times(
        self,
        segment: Segment,
        buffer: AnyArray,
        starts: AnyArray,
        ends: AnyArray,
        rows: AnyArray,
        texts: Sequence[bytes],
    ) -> None:
        coder = self.coders["timestamp"]
        values, forms = np.empty(len(starts), np.int64), np.empty(len(starts), np.uint8)
        self._kernels.moments(buffer, starts, ends, values, forms)
        unread = np.flatnonzero(forms == kernel.TEXT)
        if len(unread):
            values[unread] = coder.encode(buffer, starts[unread], ends[unread])
        for row, text in zip(rows.tolist(), texts, strict=True):
            forms[row], values[row] = moment(text)
            if forms[row] == kernel.TEXT:
                values[row] = coder.encode_texts([text])[0]
        segment.values, segment.forms = values, forms


def scan(files: Sequence[TextFile], layout: Layout, threads: int | None = None) -> Scanned:
    """Return the rows of `files`, which all have this layout.

    Raises DataError when a file cannot be read to its end, changes meanwhile, or when most rows
    do not have the fields of the layout.
    """
    small = sum(file.state.size for file in files) < SMALL
    n_threads = 1 if small else min(threads or os.cpu_count() or 1, 4)
    coders: list[Coder] = [
        PlainCoder(layout) if small else CompiledCoder(layout) for _ in range(n_threads)
    ]
    found = Scanned()
    segments: list[Segment] = []
    with ThreadPoolExecutor(n_threads) as pool:
        workers = Workers(coders, pool)
        for number, file in enumerate(files):
            before = found.n_rows
            line = 1
            for segment in segments_of(file, layout, workers):
                if segment.n_rows:
                    segments.append(segment)
                line = _account(found, segment, number, line)
                _refuse_mostly_bad(found, file, layout)
            found.rows_of.append(found.n_rows - before)
    found.columns = {
        role: _join([(one.coder, one.codes[role]) for one in segments], role)
        for role in layout.positions
        if role != "timestamp"
    }
    if "timestamp" in layout.positions:
        found.moments = _join_moments(segments)
    return found


class Workers:
    """Threads that turn blocks into segments, each with a coder of its own."""

    def __init__(self, coders: Sequence[Coder], pool: ThreadPoolExecutor) -> None:
        self._free: SimpleQueue[Coder] = SimpleQueue()
        for coder in coders:
            self._free.put(coder)
        self.n_threads = len(coders)
        self._pool = pool

    def work(self, data: bytes, last: bool) -> tuple[list[Segment], int]:
        """Return the segments of a block, by the next coder that is free."""
        coder = self._free.get()
        try:
            return coder.segments(data, last)
        finally:
            self._free.put(coder)

    def start(self, data: bytes) -> Future[tuple[list[Segment], int]]:
        """Start on a block of whole rows."""
        return self._pool.submit(self.work, data, True)


def segments_of(file: TextFile, layout: Layout, workers: Workers) -> Iterator[Segment]:
    """Yield the segments of a file in order; the first stands for the header, if there is one."""
    quote = layout.dialect.quote
    ahead: deque[Future[tuple[list[Segment], int]]] = deque()
    carry, skipping, header = b"", False, layout.has_header

    def ready(n_left: int) -> Iterator[Segment]:
        while len(ahead) > n_left:
            yield from ahead.popleft().result()[0]

    for block, last in _with_last(file.blocks()):
        data = carry + block if carry else block
        carry = b""
        if skipping:
            end = LINE_END.search(data)
            if end is None:
                continue
            data, skipping = data[end.end() :], False
        if header:
            row = parse_row(data, 0, layout.dialect, 0, last)
            if row is None:
                carry = data
                continue
            nothing = Segment(Coder(layout), 0, {}, None, None, [], row.lines, 0, 0, [])
            yield nothing
            data, header = data[row.size :], False
        cut = len(data) if last else data.rfind(b"\n") + 1
        if cut and not (quote and quote in data):
            ahead.append(workers.start(data[:cut]))
            carry = data[cut:]
            yield from ready(2 * workers.n_threads)
            continue
        # Where quotes are, only reading shows which line ends are ends of rows.
        yield from ready(0)
        segments, used = workers.work(data, last)
        yield from segments
        carry = data[used:]
        long = bool(segments[-1].bad) and segments[-1].bad[-1][1] == LONG
        skipping = long and not carry and not last and data[-1] not in b"\r\n"
    yield from ready(0)


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each block, and whether it is the last."""
    held: bytes | None = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


def shown(data: bytes, at: int, size: int) -> str:
    """Return the beginning of a row for people: without its line end."""
    return data[at : at + min(size, 4 * SHOWN)].decode("utf-8", "replace").rstrip("\r\n")[:SHOWN]


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


def _join(parts: Sequence[tuple[Coder, IdxArray]], role: str) -> Coded:
    """One column of the codes that several coders gave."""
    distinct, places = _merge(list({id(coder): coder for coder, _ in parts}.values()), role)
    return Coded(distinct, [(codes, places[id(coder)]) for coder, codes in parts])


def _merge(coders: Sequence[Coder], role: str) -> tuple[list[bytes], dict[int, IdxArray | None]]:
    """The distinct texts of all coders, and the places of each one's codes in them."""
    if not coders:
        return [], {}
    first, *others = coders
    table = first.coders[role]
    places: dict[int, IdxArray | None] = {id(first): None}
    for coder in others:
        own = coder.coders[role]
        assert isinstance(own, SpanCoder)
        assert isinstance(table, SpanCoder)
        places[id(coder)] = own.places_in(table)
    return table.distinct(), places


def _join_moments(segments: Sequence[Segment]) -> Moments:
    texts, places = _merge(
        list({id(one.coder): one.coder for one in segments}.values()), "timestamp"
    )
    parts = []
    for one in segments:
        assert one.values is not None
        assert one.forms is not None
        table = places[id(one.coder)]
        if table is not None and len(texts):
            unread = np.flatnonzero(one.forms == kernel.TEXT)
            one.values[unread] = table[one.values[unread]]
        parts.append((one.values, one.forms))
    return Moments.of(parts, texts)
